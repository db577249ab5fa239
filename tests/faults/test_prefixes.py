"""A crash at any moment leaves the collection at an acknowledged version or at the one that was being written.

Thousands of prefixes: `scripts/faults prefixes --prefixes 10000`.
"""

from __future__ import annotations

import random
from pathlib import Path

import prefixes
import pytest
from crash import Disk, Kind, Operation, crashes
from prefixes import one_seed
from recorder import Recorder
from replay import replay
from workload import Work, content, created

from setwise_engine.collection import Collection


def test_every_prefix_of_recorded_work_opens_whole(tmp_path: Path) -> None:
    count = one_seed(1, tmp_path, steps=5, chances=1)
    assert count.problems == []
    assert count.prefixes > 100


@pytest.mark.slow
def test_two_thousand_prefixes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    count = None
    for seed in range(100, 200):
        count = one_seed(seed, tmp_path, steps=20, chances=3, count=count)
        assert count.problems == []
        if count.prefixes >= 2000:
            break
    with capsys.disabled():
        print(f"\n{count}")


@pytest.mark.parametrize("forgotten", ["fsync", "fsync_folder"])
def test_a_forgotten_fsync_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: str) -> None:
    class Forgetful(Recorder):
        pass

    monkeypatch.setattr(Forgetful, forgotten, lambda self, target: None)
    monkeypatch.setattr(prefixes, "Recorder", Forgetful)
    count = one_seed(1, tmp_path, steps=3, chances=1)
    assert count.lost + count.wrong > 0


def test_a_commit_before_its_segment_is_found(tmp_path: Path) -> None:
    path = tmp_path / "recorded" / "photos.setwise"
    created(path).close()
    recorder = Recorder(path.parent)
    with Collection.open(path, disk=recorder) as collection:
        work = Work(collection, recorder, random.Random(3))
        base = recorder.start(path / "catalog.sqlite")
        work.put()
        work.states[work.version()] = content(collection)

    def catalog_first(operation: Operation) -> bool:
        return "catalog" not in operation.path

    log = [Operation(Kind.BEGIN, offset=100), *sorted(recorder.log, key=catalog_first)]
    crashed = tmp_path / "crashed"
    count = replay(log, base, work.states, path=path.name, folder=crashed, rng=random.Random(0), chances=1)
    assert count.wrong > 0


def test_what_was_not_forced_may_be_lost_and_what_was_is_kept() -> None:
    disk = Disk.of({"old": b"before"}, 0)
    for operation in (
        Operation(Kind.CREATE, "new.tmp", 1),
        Operation(Kind.WRITE, file=1, data=b"a" * 1000),
        Operation(Kind.FSYNC, file=1),
        Operation(Kind.WRITE, file=1, offset=1000, data=b"b" * 1000),
        Operation(Kind.RENAME, "new.tmp", to="old"),
    ):
        disk.apply(operation)
    lost, named, zeros, whole, *drawn = (files for _, files in crashes(disk, random.Random(0), 50))
    assert lost == {"old": b"before"}
    assert named == {"old": b"a" * 1000}
    assert zeros == {"old": b"a" * 1000 + bytes(1000)}
    assert whole == {"old": b"a" * 1000 + b"b" * 1000}
    assert {frozenset(files) for files in drawn} == {frozenset({"old"}), frozenset({"old", "new.tmp"})}
    disk.apply(Operation(Kind.FSYNC_FOLDER, "."))
    assert all(files.get("old", b"")[:1000] == b"a" * 1000 for _, files in crashes(disk, random.Random(0), 50))
