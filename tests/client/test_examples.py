"""The examples run as they stand."""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(monkeypatch: pytest.MonkeyPatch, name: str, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", [name, *words])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {
        "many_at_once.py",
        "mirror_folder.py",
        "rerank_another_engine.py",
        "rsm.py",
        "search_folder.py",
    }


def test_search_folder(
    address: str,
    photos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(photos[3].read_bytes())
    (folder / "broken.png").write_bytes(b"no picture")
    run(monkeypatch, "search_folder.py", address, str(folder), "--out", str(tmp_path / "sheets"))
    broken, cat = capsys.readouterr().out.splitlines()
    assert cat == "cat.jpg: cat.jpg (1.000)"
    assert broken.startswith("broken.png: ") and "image" in broken
    assert [path.name for path in (tmp_path / "sheets").iterdir()] == ["cat.png"]


def test_many_at_once(
    address: str, photos: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "many_at_once.py", address, *map(str, photos[:4]))
    lines = capsys.readouterr().out.splitlines()
    assert {line.split(" after ")[0] for line in lines} == {f"{photo}: {photo.name}" for photo in photos[:4]}


def test_rerank_another_engine(
    address: str, collage: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "rerank_another_engine.py", address, str(collage))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert len(rows) == 8
    assert {row[0] for row in rows} == {row[2] for row in rows}
    assert {rows[0][2], rows[1][2]} == {"cat.jpg", "coffee.jpg"}


def test_mirror_folder(
    collection_path: Path,
    photos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "photos.setwise"
    shutil.copytree(collection_path, path)
    folder = tmp_path / "folder"
    folder.mkdir()
    for photo in photos[:3]:
        shutil.copy(photo, folder)
    run(monkeypatch, "mirror_folder.py", str(path), str(folder), "--prefix", "new/")
    (folder / photos[0].name).unlink()
    (folder / "broken.png").write_bytes(b"no picture")
    run(monkeypatch, "mirror_folder.py", str(path), str(folder), "--prefix", "new/")
    first, second = capsys.readouterr().out.split("new/broken.png ")
    assert first.startswith("3 inserted in ") and "0 deleted\n3 of 13 images" in first
    assert "2 unchanged, 1 failed in " in second and "1 deleted\n2 of 12 images" in second


def test_rsm(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for photo in photos[:3]:
        (folder / photo.name).write_bytes(photo.read_bytes())
    (folder / "again.jpg").write_bytes(photos[0].read_bytes())
    run(monkeypatch, "rsm.py", str(folder), "--out", str(tmp_path / "out"))
    semantic, spatial = capsys.readouterr().out.splitlines()
    assert semantic.startswith(f"semantic: again.jpg and {photos[0].name} (1.000). Cosine similarity, of 4 images")
    assert spatial.startswith(f"spatio-semantic: again.jpg and {photos[0].name} (1.000).")
    matrix = np.load(tmp_path / "out/semantic.npy")
    assert matrix.shape == (4, 4)
    assert (matrix >= np.load(tmp_path / "out/spatio-semantic.npy") - 1e-6).all()
    assert (tmp_path / "out/semantic.png").stat().st_size > 10_000
