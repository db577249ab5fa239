"""A disk that fills up in the middle of a write: what was acknowledged stays, the rest is not there, nothing sticks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import filler
import pytest
from workload import content, created, record

from setwise_engine.collection import Collection
from setwise_engine.errors import CollectionError, ReadOnlyError
from setwise_engine.search import Searcher


def fill(folder: Path, file_bytes: int = 0, writes: int = 200) -> tuple[list[str], str]:
    """Acknowledged ids and how the first write failed that did."""
    command = [sys.executable, filler.__file__, str(folder), str(file_bytes), str(writes)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    said = [json.loads(line) for line in lines]
    return [f"image-{number:03}" for number, what in said if what == "done"], said[-2][1]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte; skips where it may not be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("file_bytes", [2_000, 10_000, 33_000, 70_000, 150_000])
def test_no_file_may_grow(tmp_path: Path, file_bytes: int) -> None:
    folder = tmp_path / "photos.setwise"
    created(folder).close()
    done, end = fill(folder, file_bytes)
    assert "CollectionError" in end or "ReadOnlyError" in end
    check(folder, done)


def test_a_full_file_system(small_disk: Path) -> None:
    folder = small_disk / "photos.setwise"
    created(folder).close()
    (small_disk / "ballast").write_bytes(bytes(300_000))
    done, end = fill(folder)
    assert len(done) > 5
    assert "CollectionError" in end or "ReadOnlyError" in end
    (small_disk / "ballast").unlink()
    check(folder, done)


def test_once_there_is_room_the_same_process_goes_on(small_disk: Path) -> None:
    with created(small_disk / "photos.setwise") as collection:
        collection.append([record("first", 1)])
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as stream, pytest.raises(OSError, match="No space left"):
            while True:
                stream.write(bytes(1000))
        with pytest.raises(CollectionError):
            collection.append([record("second", 2)])
        assert list(content(collection)) == ["first"]
        ballast.unlink()
        collection.append([record("second", 2)])
        assert list(content(collection)) == ["first", "second"]


def check(folder: Path, done: list[str]) -> None:
    """Everything acknowledged is there and nothing else; the collection is sound and takes more."""
    with Collection.open(folder) as opened:
        assert list(content(opened)) == done
        assert opened.verify().problems == []
        opened.append([record("more", 1)])
        assert "more" in content(opened)


def test_a_file_system_that_is_read_only(small_disk: Path) -> None:
    folder = small_disk / "photos.setwise"
    with created(folder) as collection:
        collection.append([record("first", 1)])
        collection.build_index()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with Collection.open(folder) as collection:
        assert collection.read_only
        for write in (lambda: collection.append([record("second", 2)]), lambda: collection.delete(["first"])):
            with pytest.raises(ReadOnlyError):
                write()
        for work in (collection.build_index, collection.compact):
            with pytest.raises(ReadOnlyError):
                work()
        assert list(content(collection)) == ["first"]
        assert collection.verify().problems == []
        [hit] = Searcher(collection).search(record("", 1).features).hits
        assert hit.id == "first"
