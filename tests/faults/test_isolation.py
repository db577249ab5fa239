"""Readers beside a writer and a compactor: a snapshot holds one version, whole, for as long as somebody has it."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from workload import Content, Work, content_of, created, record

from setwise_engine.collection import Collection
from setwise_engine.search import Options, Searcher


class Unmarked:
    """Nobody is told."""

    def begin(self, version: int) -> None:
        """A commit may be under way."""

    def done(self, version: int) -> None:
        """It was acknowledged."""


class Reader(threading.Thread):
    """Takes snapshots, reads each twice with a pause between, and notes what it saw."""

    def __init__(self, collection: Collection, end: float) -> None:
        super().__init__()
        self._collection, self._end = collection, end
        self.seen: list[tuple[int, Content]] = []
        self.problems: list[str] = []

    def run(self) -> None:
        rng = random.Random(self.name)
        searcher = Searcher(self._collection, scan_threads=1)
        while time.monotonic() < self._end:
            try:
                with self._collection.snapshot() as snapshot:
                    first = content_of(snapshot)
                    time.sleep(rng.choice([0.0, 0.01, 0.1]))
                    if content_of(snapshot) != first:
                        self.problems.append(f"version {snapshot.version} changed under its reader")
                    self.seen.append((snapshot.version, first))
                searcher.search(record("", rng.randrange(99)).features, Options(exhaustive=rng.random() < 0.5))
            except Exception as error:
                self.problems.append(f"{type(error).__name__}: {error}")


@pytest.mark.parametrize("seconds", [1.5, pytest.param(30.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("compactor", ["a thread", "a process"])
def test_every_snapshot_is_one_version(tmp_path: Path, compactor: str, seconds: float) -> None:
    path = tmp_path / "photos.setwise"
    created(path).close()
    end = time.monotonic() + seconds
    command = [sys.executable, "-c", COMPACT, str(path), str(seconds)]
    beside = subprocess.Popen(command) if compactor == "a process" else None
    with Collection.open(path) as collection, Collection.open(path, read_only=True) as other:
        work = Work(collection, Unmarked(), random.Random(compactor))
        readers = [Reader(each, end) for each in (collection, collection, other, other)]
        for reader in readers:
            reader.start()
        while time.monotonic() < end:
            work.steps(1)
        for reader in readers:
            reader.join()
        assert [problem for reader in readers for problem in reader.problems] == []
        for version, seen in (one for reader in readers for one in reader.seen):
            assert seen == work.states[max(known for known in work.states if known <= version)]
        assert sum(len(reader.seen) for reader in readers) > 10
        if beside is not None:
            assert beside.wait() == 0
        assert collection.verify().problems == []


COMPACT = """
import sys, time
from setwise_engine.collection import Collection
end = time.monotonic() + float(sys.argv[2])
with Collection.open(sys.argv[1]) as collection:
    while time.monotonic() < end:
        collection.compact(everything=True)
        collection.build_index()
"""
