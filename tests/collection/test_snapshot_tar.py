"""A snapshot is a plain tar of one version: what is written meanwhile is not in it, what it needs cannot go away."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import sqlite3
import subprocess
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from setwise_engine.collection import (
    FORMAT_VERSION,
    Collection,
    ImageRecord,
    restore,
    snapshot_tar,
    verify_folder,
    write_snapshot,
)
from setwise_engine.errors import CorruptError

Make = Callable[..., ImageRecord]


@pytest.fixture
def filled(collection: Collection, make: Make) -> Collection:
    """A collection of three images in two segments, with a dead row and an index."""
    collection.append([make("a", 1, thumbnail=b"jpeg" * 20), make("b", 2), make("c", 3)])
    collection.append([make("a", 4, metadata={"year": 2026})])
    collection.build_index()
    return collection


class Sizes(io.BytesIO):
    """Remembers the largest piece that it was given."""

    largest = 0

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        self.largest = max(self.largest, len(data))
        return super().write(data)


def snapshot_of(collection: Collection) -> bytes:
    stream = io.BytesIO()
    write_snapshot(collection, stream)
    return stream.getvalue()


def test_the_first_member_names_every_other_with_size_and_checksum(filled: Collection) -> None:
    stream = Sizes()
    info = write_snapshot(filled, stream)
    data = stream.getvalue()
    assert (info.bytes, info.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (info.version, info.images) == (2, 3)
    assert stream.largest <= 1 << 20
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        first, *others = archive.getmembers()
        assert first.name == "manifest.json"
        manifest = json.loads(archive.extractfile(first).read())  # type: ignore[union-attr]
        found = {}
        for member in others:
            content = archive.extractfile(member).read()  # type: ignore[union-attr]
            found[member.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    segments = [f"segments/{path.name}" for path in sorted((filled.path / "segments").iterdir())]
    assert list(found) == ["catalog.sqlite", "encoder.safetensors", *segments]
    assert manifest.pop("files") == found
    assert manifest.pop("format") == FORMAT_VERSION
    assert (manifest.pop("kind"), manifest.pop("snapshot")) == ("setwise-snapshot", 1)
    assert manifest == {"name": "photos", "uuid": filled.uuid, "version": 2, "images": 3}


def test_its_size_is_known_before_it_is_read(filled: Collection, make: Make) -> None:
    filled.append([make(f"i{n}", n, 30, 30) for n in range(100)])  # three pieces
    with snapshot_tar(filled) as tar:
        assert (tar.name, tar.version, tar.images) == ("photos", 3, 103)
        pieces = list(tar.pieces())
    assert len(pieces) >= 3
    assert {len(piece) for piece in pieces[:-1]} == {1 << 20}
    assert sum(map(len, pieces)) == tar.bytes
    assert hashlib.sha256(b"".join(pieces)).hexdigest() == tar.sha256


def test_the_same_version_gives_the_same_bytes(filled: Collection) -> None:
    assert snapshot_of(filled) == snapshot_of(filled)


def test_what_is_committed_meanwhile_is_not_in_it(filled: Collection, make: Make, tmp_path: Path) -> None:
    class Writer(io.BytesIO):
        """Commits between the pieces, as another thread would."""

        number = 0

        def write(self, data: bytes, /) -> int:  # type: ignore[override]
            self.number += 1
            filled.append([make(f"late{self.number}", self.number), make("b", 50 + self.number)])
            filled.delete(["c"])
            return super().write(data)

    stream = Writer()
    info = write_snapshot(filled, stream)
    stream.seek(0)
    assert restore(stream, tmp_path / "back.setwise") == info
    with Collection.open(tmp_path / "back.setwise") as back, back.snapshot() as snapshot:
        keys = snapshot.page("", 10)
        assert (snapshot.version, snapshot.ids(keys)) == (2, ["a", "b", "c"])
        assert snapshot.tokens(keys[1]).tobytes() == make("b", 2).features.tokens.tobytes()


def test_compaction_takes_nothing_from_it(filled: Collection) -> None:
    """What the version needs is mapped for as long as the snapshot is written."""
    before = snapshot_of(filled)
    with snapshot_tar(filled) as tar:
        filled.compact(everything=True)
        assert len(list((filled.path / "segments").iterdir())) == 1
        assert b"".join(tar.pieces()) == before


def test_a_compacted_collection_comes_back(filled: Collection, make: Make, tmp_path: Path) -> None:
    filled.compact(everything=True)
    filled.append([make("c", 9)])
    restore(io.BytesIO(snapshot_of(filled)), tmp_path / "back.setwise")
    assert verify_folder(tmp_path / "back.setwise").problems == []
    with Collection.open(tmp_path / "back.setwise") as back, back.snapshot() as snapshot:
        keys = snapshot.page("", 10)
        for key, seed in zip(keys, (4, 2, 9), strict=True):
            assert snapshot.tokens(key).tobytes() == make("x", seed).features.tokens.tobytes()


def test_one_version_each_beside_a_writer_and_compaction(collection: Collection, make: Make, tmp_path: Path) -> None:
    """Every commit replaces one image and adds one, so that the images of a version say which one it is."""
    stop = threading.Event()
    failed: list[BaseException] = []

    def repeat(work: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                work()
        except BaseException as error:
            failed.append(error)

    numbers = itertools.count(1)

    def write() -> None:
        number = next(numbers)
        collection.append([make("same", number, metadata={"number": number}), make(f"i{number}", number)])

    write()
    threads = [threading.Thread(target=repeat, args=(work,)) for work in (write, collection.compact)]
    for thread in threads:
        thread.start()
    try:
        for round in range(6):
            folder = tmp_path / f"{round}.setwise"
            info = restore(io.BytesIO(snapshot_of(collection)), folder)
            assert verify_folder(folder).problems == []
            with Collection.open(folder) as back, back.snapshot() as snapshot:
                (same,) = snapshot.stored([key for key in snapshot.keys(["same"]) if key is not None])
                assert same.metadata == {"number": len(snapshot) - 1}
                assert len(snapshot) == info.images
                assert snapshot.keys([f"i{number}" for number in range(1, info.images)]).count(None) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []


def test_any_tar_unpacks_it_to_a_collection(filled: Collection, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-x", "-C", tmp_path / "out"], input=snapshot_of(filled), check=True)
    assert verify_folder(tmp_path / "out").problems == []


def test_a_pipe_will_do(filled: Collection, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as source, os.fdopen(writer, "wb") as sink:

        def write() -> None:
            with sink:
                write_snapshot(filled, sink)

        thread = threading.Thread(target=write)
        thread.start()
        info = restore(source, tmp_path / "back.setwise")
        thread.join()
    assert info.images == 3


def test_an_empty_collection_and_a_read_only_folder(collection: Collection, tmp_path: Path) -> None:
    data = snapshot_of(collection)
    collection.close()
    collection.path.chmod(0o555)
    try:
        with Collection.open(collection.path, read_only=True) as opened:
            assert snapshot_of(opened) == data
    finally:
        collection.path.chmod(0o755)
    assert restore(io.BytesIO(data), tmp_path / "back.setwise").images == 0


def test_damage_is_never_copied_into_a_backup(filled: Collection) -> None:
    path = max((filled.path / "segments").iterdir())
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptError, match=f"{path.name} is damaged"):
        snapshot_of(filled)
    path.write_bytes(data + b"more")
    with pytest.raises(CorruptError, match=f"{path.name} is damaged"):
        snapshot_of(filled)


def test_no_copy_of_the_catalog_stays_behind(filled: Collection, tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def write(self, data: bytes, /) -> int:  # type: ignore[override]
            raise OSError("no room")

    (scratch := tmp_path / "scratch").mkdir()
    with pytest.raises(OSError, match="no room"):
        write_snapshot(filled, Full(), scratch=scratch)
    assert list(scratch.iterdir()) == []


def test_the_copied_catalog_is_whole_without_a_log(filled: Collection, tmp_path: Path) -> None:
    restore(io.BytesIO(snapshot_of(filled)), tmp_path / "back.setwise")
    assert not list((tmp_path / "back.setwise").glob("catalog.sqlite-*"))
    with sqlite3.connect(tmp_path / "back.setwise" / "catalog.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    connection.close()
