"""A crash at any moment leaves the collection as it was before or after a commit, and a failed fsync stops writing.

The recorder notes every durable operation. Each prefix of them is then played back in three ways: what was not forced
to disk is lost; names reached the disk but data did not; everything reached it, the last write by half.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.collection._durable import Bytes, Disk
from setwise_engine.encoder import Encoder
from setwise_engine.errors import CollectionError, ReadOnlyError

Make = Callable[..., ImageRecord]
Names = dict[Path, "File"]


class File:
    """A file's bytes, and those of them that were forced to disk."""

    def __init__(self) -> None:
        self.data = b""
        self.synced = b""


class Recorder(Disk):
    """A disk that notes what it does. The catalog's commit is SQLite's own: its files are noted after each."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[tuple[str, Path, bytes | Path]] = []
        self._open: dict[int, Path] = {}
        self.catalog = Path()

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        self._open[descriptor] = path
        self.log.append(("create", path, b""))
        return descriptor

    def write(self, descriptor: int, chunk: Bytes) -> None:
        super().write(descriptor, chunk)
        self.log.append(("write", self._open[descriptor], bytes(chunk)))

    def fsync(self, descriptor: int) -> None:
        super().fsync(descriptor)
        self.log.append(("fsync", self._open[descriptor], b""))

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self.log.append(("rename", source, target))

    def fsync_folder(self, folder: Path) -> None:
        super().fsync_folder(folder)
        self.log.append(("fsync_folder", folder, b""))

    def remove(self, path: Path) -> None:
        super().remove(path)
        self.log.append(("remove", path, b""))

    def commit(self, connection: sqlite3.Connection) -> None:
        super().commit(connection)
        for suffix in ("", "-wal"):
            path = self.catalog.with_name(self.catalog.name + suffix)
            self.log.append(("catalog", path, path.read_bytes()))


def replay(log: list[tuple[str, Path, bytes | Path]]) -> tuple[Names, Names, dict[Path, bytes]]:
    """Names that programs saw, names that were forced to disk, and the catalog's files, at the end of the log."""
    seen: Names = {}
    durable: Names = {}
    catalog: dict[Path, bytes] = {}
    for operation, path, value in log:
        match operation, value:
            case "create", _:
                seen[path] = File()
            case "write", bytes():
                seen[path].data += value
            case "fsync", _:
                seen[path].synced = seen[path].data
            case "rename", Path():
                seen[value] = seen.pop(path)
            case "remove", _:
                seen.pop(path, None)
            case "fsync_folder", _:
                durable = {p: f for p, f in durable.items() if p.parent != path}
                durable |= {p: f for p, f in seen.items() if p.parent == path}
            case "catalog", bytes():
                catalog[path] = value
    return seen, durable, catalog


def outcomes(log: list[tuple[str, Path, bytes | Path]]) -> Iterator[dict[Path, bytes]]:
    """The files that a crash after these operations may leave."""
    seen, durable, catalog = replay(log)
    yield {path: file.synced for path, file in durable.items()} | catalog
    yield {path: file.synced for path, file in seen.items()} | catalog
    last = log[-1][1] if log and log[-1][0] == "write" else None
    yield {p: f.data[: len(f.data) // 2] if p == last else f.data for p, f in seen.items()} | catalog


@pytest.fixture
def recorded(folder: Path, settings: Settings, tiny: Encoder, make: Make) -> Iterator[tuple[Collection, Recorder]]:
    """A collection of two images whose further writes are recorded."""
    recorder = Recorder()
    recorder.catalog = folder / "catalog.sqlite"
    with Collection.create(folder, settings, tiny) as made:
        made.append([make("a", 1), make("b", 2)])
    with Collection.open(folder, disk=recorder) as opened:
        recorder.log.clear()
        yield opened, recorder


def content(collection: Collection) -> dict[str, tuple[float, object]]:
    with collection.snapshot() as snapshot:
        keys = snapshot.page("", 100)
        images = snapshot.stored(keys)
        return {image.id: (snapshot.norm(key), image.metadata) for key, image in zip(keys, images, strict=True)}


def copy_of(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*-shm"))
    return target


def test_a_crash_anywhere_in_an_append_leaves_it_done_or_undone(
    recorded: tuple[Collection, Recorder], tmp_path: Path, make: Make
) -> None:
    collection, recorder = recorded
    base = copy_of(collection.path, tmp_path / "base")
    before = content(collection)
    collection.append([make("b", 7, metadata={"new": True}), make("c", 3, thumbnail=b"t" * 100)])
    after = content(collection)
    log = recorder.log
    assert [entry[0] for entry in log if entry[0] != "write"] == [
        *("create", "fsync", "rename", "fsync_folder", "catalog", "catalog")
    ]
    crashes = 0
    for end in range(len(log) + 1):
        for number, files in enumerate(outcomes(log[:end])):
            crashed = copy_of(base, tmp_path / f"crash{end}-{number}")
            for path, data in files.items():
                (crashed / path.relative_to(collection.path)).write_bytes(data)
            with Collection.open(crashed) as opened:
                assert content(opened) == (after if end == len(log) else before)
                assert opened.verify().problems == []
                assert len(list((crashed / "segments").iterdir())) == opened.info().segments  # orphans swept
                opened.append([make("d", 4)])
                assert "d" in content(opened)
            shutil.rmtree(crashed)
            crashes += 1
    assert crashes == 3 * (len(log) + 1)


def test_a_crash_while_the_index_is_replaced_costs_no_answer(
    recorded: tuple[Collection, Recorder], tmp_path: Path, make: Make
) -> None:
    collection, recorder = recorded
    collection.build_index()
    collection.append([make("c", 3)])
    base = copy_of(collection.path, tmp_path / "base")
    vector = collection.coarse.pool(make("c", 3).features.tokens)
    recorder.log.clear()
    collection.build_index()
    with collection.snapshot() as snapshot:
        expected = [found.key for found in snapshot.recall(vector, 3)]
    for end in range(len(recorder.log) + 1):
        for number, files in enumerate(outcomes(recorder.log[:end])):
            crashed = copy_of(base, tmp_path / f"crash{end}-{number}")
            for path, data in files.items():
                (crashed / path.relative_to(collection.path)).write_bytes(data)
            with Collection.open(crashed) as opened, opened.snapshot() as snapshot:
                assert [found.key for found in snapshot.recall(vector, 3)] == expected


@pytest.mark.parametrize("failing", ["file", "folder"])
def test_after_a_failed_fsync_nothing_is_stored_and_writing_ends(
    collection: Collection, make: Make, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    collection.append([make("a")])
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if failing == "file" or stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ReadOnlyError, match="could not be forced to disk"):
        collection.append([make("b")])
    monkeypatch.undo()
    for write in (lambda: collection.append([make("c")]), lambda: collection.delete(["a"]), collection.build_index):
        with pytest.raises(ReadOnlyError, match="opened again"):
            write()
    assert list(content(collection)) == ["a"]
    with Collection.open(collection.path) as opened:
        assert list(content(opened)) == ["a"]
        assert len(list((collection.path / "segments").iterdir())) == 1
        opened.append([make("b")])
        assert list(content(opened)) == ["a", "b"]


def test_a_catalog_that_cannot_be_forced_to_disk_ends_writing() -> None:
    class Broken(sqlite3.Connection):
        def execute(self, *_: object) -> sqlite3.Cursor:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error

    disk = Disk()
    connection = sqlite3.connect(":memory:", factory=Broken)
    with pytest.raises(ReadOnlyError, match="the catalog could not be forced to disk"):
        disk.commit(connection)
    connection.close()
    with pytest.raises(ReadOnlyError):
        disk.check()


def test_a_full_disk_loses_nothing_and_stops_nothing(
    collection: Collection, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.append([make("a")])

    def full(descriptor: int, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(CollectionError, match="No space left on device"):
        collection.append([make("b")])
    monkeypatch.undo()
    assert len(list((collection.path / "segments").iterdir())) == 1
    collection.append([make("b")])
    assert list(content(collection)) == ["a", "b"]


def test_a_write_may_take_several_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:7]))
    array = np.arange(20, dtype=np.int32).reshape(4, 5)
    Disk().publish(tmp_path / "file", [b"head", array, b""])
    assert (tmp_path / "file").read_bytes() == b"head" + array.tobytes()


def test_folders_that_were_made_on_the_way_last_too(
    tmp_path: Path, settings: Settings, tiny: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, forced = Disk(), set[Path]()
    force = disk.fsync_folder
    monkeypatch.setattr(disk, "fsync_folder", lambda folder: (forced.add(folder), force(folder)))
    Collection.create(tmp_path / "new" / "deep" / "photos.setwise", settings, tiny, disk=disk).close()
    assert {tmp_path, tmp_path / "new", tmp_path / "new" / "deep"} <= forced
