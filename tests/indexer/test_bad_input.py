"""Broken images and sets are named with a reason and stop nothing; wrong requests are refused before any work."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from setwise_engine.collection import Collection
from setwise_engine.errors import CollectionError, EngineError, FormatError, InvalidInput, NotFound
from setwise_indexer import Request, Summary, index

Build = Callable[..., Summary]


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that says it is side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, photos: list[Path]) -> tuple[Path, Summary]:
    """One run over two good images and one of each kind of broken ones, listed in a manifest."""
    folder = tmp_path_factory.mktemp("broken")
    jpeg = photos[0].read_bytes()
    (folder / "good.jpg").write_bytes(jpeg)
    Image.new("RGB", (1, 1), "red").save(folder / "tiny.png")
    (folder / "text.jpg").write_text("this is no image")
    (folder / "truncated.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "bomb.png").write_bytes(bomb(50_000))
    (folder / "folder.jpg").mkdir()
    (folder / "dangling.jpg").symlink_to(folder / "nowhere.jpg")
    os.mkfifo(folder / "pipe.jpg")
    names = ["good.jpg", "tiny.png", *REASONS]
    (folder / "list.csv").write_text("\n".join(["path", *names]))
    manifest, report = str(folder / "list.csv"), folder / "report.jsonl"
    return folder, index(Request(into=folder / "x.setwise", manifest=manifest, report=report, device="cpu"))


REASONS = {
    "text.jpg": "not a JPEG",
    "truncated.jpg": "damaged or cut short",
    "empty.jpg": "empty",
    "bomb.png": "50000x50000 pixels, more than the limit",
    "folder.jpg": "is a folder",
    "missing.jpg": "no such file",
    "dangling.jpg": "no such file",
    "pipe.jpg": "not a regular file",
}


@pytest.mark.parametrize("name", REASONS)
def test_a_broken_image_is_named_with_its_reason(broken: tuple[Path, Summary], name: str) -> None:
    folder, summary = broken
    (reason,) = [failure.reason for failure in summary.failures if failure.id == name]
    assert REASONS[name] in reason
    assert f"failed: {folder / name} (" in str(summary)


def test_broken_images_stop_nothing_and_are_in_the_report(broken: tuple[Path, Summary]) -> None:
    folder, summary = broken
    assert (summary.indexed, summary.failed) == (2, len(REASONS))
    lines = [json.loads(line) for line in (folder / "report.jsonl").read_text().splitlines()]
    assert {line["id"] for line in lines} == set(REASONS)
    assert all(set(line) == {"path", "id", "reason"} for line in lines)
    with Collection.open(folder / "x.setwise", read_only=True) as collection:
        assert set(collection.sources()) == {"good.jpg", "tiny.png"}


UNPRIVILEGED = """
import os, sys, tempfile
from pathlib import Path
import numpy as np
from setwise_indexer import Request, index

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    folder.chmod(0o777)
    for file in ("a.npy", "b.npy"):
        np.save(folder / file, np.ones((2, 4), np.float32))
    run = lambda into: index(Request(into=folder / into, sources=(name,), features=True))
    run("first.setwise")  # loads whatever is loaded late, while the interpreter's own files can be read
    (folder / "b.npy").chmod(0)
    if os.getuid() == 0:
        os.seteuid(65534)  # root may read everything
    print(run("second.setwise"))
    os.seteuid(os.getuid())
"""


def test_a_file_without_permission_is_named() -> None:
    said = subprocess.run([sys.executable, "-c", UNPRIVILEGED], capture_output=True, text=True, check=True).stdout
    assert "1 indexed" in said
    assert "b.npy: no permission to read it; give this user the right" in said


def test_broken_sets_are_named_and_the_rest_is_indexed(build: Build, sets: Path) -> None:
    np.save(sets / "nan.npy", np.full((2, 8), np.nan, np.float32))
    np.save(sets / "wide.npy", np.ones((2, 9), np.float32))
    np.save(sets / "flat.npy", np.ones(8, np.float32))
    np.save(sets / "whole.npy", np.ones((2, 8), np.int64))
    np.save(sets / "large.npy", np.full((2, 8), 1e6, np.float32))
    save_file({"good": np.ones((2, 8), np.float16), "none": np.ones((2, 0), np.float32)}, sets / "s.safetensors")
    (sets / "short.npy").write_bytes((sets / "0.npy").read_bytes()[:-10])
    summary = build(sets, features=True)
    reasons = {failure.id: failure.reason for failure in summary.failures}
    assert summary.indexed == 7
    assert "NaN or infinity" in reasons.pop("nan.npy")
    assert "9 dimensions, this collection takes 8" in reasons.pop("wide.npy")
    assert "shape (8,) is no set" in reasons.pop("flat.npy")
    assert "dtype int64" in reasons.pop("whole.npy")
    assert "fp16" in reasons.pop("large.npy")
    assert "shape (2, 0) is no set" in reasons.pop("s.safetensors/none")
    assert "write it again" in reasons.pop("short.npy")
    assert not reasons


def test_into_something_else_is_refused_before_any_work(build: Build, sets: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(CollectionError, match="file is a file, a collection is a folder"):
        build(sets, features=True, into=tmp_path / "file")
    with pytest.raises(CollectionError, match=r"sets is a folder of other things \(0\.npy"):
        build(sets, features=True, into=sets)
    assert (tmp_path / "file").read_text() == "precious"
    assert len(list(sets.iterdir())) == 6


def test_a_foreign_or_newer_catalog_is_refused_and_left_alone(build: Build, sets: Path, into: Path) -> None:
    build(sets, features=True)
    with sqlite3.connect(into / "catalog.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(FormatError, match=r"99.*newer setwise"):
        build(sets, features=True)
    (into / "catalog.sqlite").write_bytes(b"something else")
    with pytest.raises(EngineError, match=r"catalog\.sqlite"):
        build(sets, features=True)
    assert (into / "catalog.sqlite").read_bytes() == b"something else"


def test_an_unknown_model_is_refused_by_name(build: Build, folder: Path, into: Path) -> None:
    with pytest.raises(NotFound, match="there is no model 'resnet51'"):
        build(folder, model="resnet51")
    assert not into.exists()


def test_another_collections_encoder_must_exist(build: Build, sets: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"nowhere\.setwise"):
        build(sets, features=True, encoder_from=tmp_path / "nowhere.setwise")


def test_when_nothing_at_all_can_be_read_the_first_reason_is_told(build: Build, tmp_path: Path, into: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"")
    with pytest.raises(InvalidInput, match=r"nothing to index: .*x\.npy: no readable"):
        build(tmp_path / "x.npy", features=True)
    assert not into.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "either sources .* or --manifest"),
        ({"sources": ("a",), "manifest": "b.csv"}, "either sources .* or --manifest"),
        ({"sources": ("a",), "features": True, "model": "x"}, "--features takes no --model"),
        ({"sources": ("a",), "encoder_from": Path("x"), "dims": 3}, "leave out --dims"),
        ({"sources": ("a",), "encoder_from": Path("x"), "fit": True}, "leave out --encoder-from"),
        ({"sources": ("a",), "workers": 0}, "--workers 0 is not positive"),
        ({"sources": ("a",), "dims": -1}, "--dims -1 is not positive"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        Request(into=Path("x"), **options)


def test_a_lone_broken_set_says_why(build: Build, tmp_path: Path) -> None:
    np.save(tmp_path / "nan.npy", np.full((2, 8), np.nan, np.float32))
    with pytest.raises(InvalidInput, match=r"nan\.npy: tokens hold NaN or infinity"):
        build(tmp_path / "nan.npy", features=True, into=tmp_path / "new.setwise")


def test_files_of_other_kinds_in_a_folder_are_counted(build: Build, sets: Path) -> None:
    for name in ("IMG_1.HEIC", "IMG_2.heic", "notes.txt"):
        (sets / name).touch()
    assert "3 other files passed over: .heic (2), .txt (1)" in str(build(sets, features=True))
