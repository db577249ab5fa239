"""A crash anywhere in `setwise snapshot` or `setwise restore` leaves a whole tar or a whole collection, or none."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash import Disk, Files, crashes
from recorder import files_in
from replay import written
from syscalls import Trace, trace
from workload import Content, content, created, record

from setwise_engine.collection import Collection, restore, write_snapshot

pytestmark = pytest.mark.usefixtures("strace")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a collection of two segments and a snapshot of its first version."""
    root = tmp_path / "root"
    with created(root / "photos.setwise") as collection:
        collection.append([record(f"{n}", n) for n in range(5)])
        collection.append([record(f"{n}", 10 + n) for n in range(3, 8)])
    return root


def crashed(root: Path, tmp_path: Path, *arguments: str) -> Iterator[tuple[bool, Files]]:
    """What a crash may leave at each moment of the command; and whether the command had ended."""
    base = files_in(root)
    trace([sys.executable, "-m", "setwise", *arguments], tmp_path / "strace.txt")
    disk, rng, seen = Disk.of(base, 0), random.Random(1), set[int]()
    with (tmp_path / "strace.txt").open() as lines:
        operations = list(Trace(root, dict(disk.names)).operations(lines))
    for number, operation in enumerate(operations, 1):
        disk.apply(operation)
        for _, files in crashes(disk, rng, 2):
            ended = number == len(operations)
            if ended or (key := hash((*files.items(),))) not in seen:
                seen.add(0 if ended else key)
                yield ended, files


def opened(path: Path) -> Content:
    with Collection.open(path) as collection:
        assert collection.verify().problems == []
        return content(collection)


def test_a_snapshot_is_whole_or_absent(root: Path, tmp_path: Path) -> None:
    expected, tar, left = opened(root / "photos.setwise"), tmp_path / "left.tar", [0, 0]
    for ended, files in crashed(root, tmp_path, "snapshot", str(root / "photos.setwise"), str(root / "out.tar")):
        there = "out.tar" in files
        left[there] += 1
        assert there or not ended
        if there:
            tar.write_bytes(files["out.tar"])
            shutil.rmtree(tmp_path / "restored", ignore_errors=True)
            restore(tar, tmp_path / "restored")
            assert opened(tmp_path / "restored") == expected
    assert min(left) > 0


def test_a_restored_collection_is_whole_or_absent(root: Path, tmp_path: Path) -> None:
    expected, left = opened(root / "photos.setwise"), [0, 0]
    with Collection.open(root / "photos.setwise") as collection, (root / "out.tar").open("wb") as tar:
        write_snapshot(collection, tar)
    for ended, files in crashed(root, tmp_path, "restore", str(root / "out.tar"), str(root / "new.setwise")):
        new = {path: data for path, data in files.items() if path.startswith("new.setwise/")}
        left[bool(new)] += 1
        assert new or not ended
        if new:
            shutil.rmtree(tmp_path / "crashed", ignore_errors=True)
            written(tmp_path / "crashed", new)
            assert opened(tmp_path / "crashed" / "new.setwise") == expected
    assert min(left) > 0
