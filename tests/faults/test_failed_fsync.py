"""An fsync that fails: nothing is acknowledged any more, reading goes on, opening anew heals.

With strace the kernel's own answers are changed, SQLite's calls included.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import filler
import pytest
from driver import tokens_of
from workload import content, created, record

import setwise
from setwise_engine.collection import Collection


def item(id: str, seed: int) -> setwise.Item:
    return setwise.Item(id, setwise.FeatureSet(tokens_of(seed)), {"seed": seed})


@pytest.mark.parametrize("failing", range(4))
def test_the_nth_fsync_of_an_upsert_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    folder = tmp_path / "photos.setwise"
    created(folder).close()
    real = os.fsync
    calls = 0

    def fsync(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls > failing:
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    with setwise.connect(folder, retries=0) as client:
        client.upsert([item("before", 1)])
        monkeypatch.setattr(os, "fsync", fsync)
        done = 0
        with pytest.raises(setwise.SetwiseError, match=r"could not be forced to disk|read-only"):
            for number in range(10):
                client.upsert([item(f"n{number}", number)])
                done += 1
        assert done == failing // 2  # a segment takes two: the file and its folder
        monkeypatch.setattr(os, "fsync", real)
        writes: list[Callable[[], object]] = [
            lambda: client.upsert([item("later", 2)]),
            lambda: client.delete(["before"]),
            lambda: client.update("before", {"n": 1}),
        ]
        for write in writes:
            with pytest.raises(setwise.SetwiseError, match="until it is opened again"):
                write()
        expected = sorted(["before", *(f"n{number}" for number in range(done))])
        assert sorted(image.id for image in client.list()) == expected
        assert client.search(setwise.FeatureSet(tokens_of(1)))[0].id == "before"
    with Collection.open(folder) as collection:
        assert sorted(content(collection)) == expected
        assert collection.verify().problems == []
    with setwise.connect(folder) as client:
        assert client.upsert([item("later", 2)]).inserted == 1


FAILURES = [
    *(("fsync", "EIO", when) for when in ("1+", "2", "5")),  # of segments and folders
    *(("fdatasync", "EIO", when) for when in ("1", "4+")),  # SQLite's
    *(("pwrite64", "ENOSPC", f"{first}+") for first in (5, 40)),
]
"""System calls, the error that they give, and which of them: the n-th, or + for all from the n-th on."""


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(("calls", "error", "when"), FAILURES)
def test_the_kernel_says_that_it_failed(tmp_path: Path, calls: str, error: str, when: str) -> None:
    injected(tmp_path, calls, error, when)


@pytest.mark.slow
@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("first", range(1, 25))
def test_each_call_in_turn_fails(tmp_path: Path, first: int) -> None:
    for calls, error in (("fsync", "EIO"), ("fdatasync", "EIO"), ("pwrite64", "ENOSPC"), ("write", "ENOSPC")):
        injected(tmp_path / calls, calls, error, f"{first}")


def injected(folder: Path, calls: str, error: str, when: str) -> None:
    """Writes of a process whose system calls fail: what it was told is so, also when the collection is opened anew."""
    path = folder / "photos.setwise"
    created(path).close()
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={calls}:error={error}:when={when}"]
    command += [sys.executable, filler.__file__, str(path), "0", "12"]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    said = dict(json.loads(line) for line in run.stdout.splitlines() if line.startswith("["))
    done = {number for number, what in said.items() if what == "done"}
    failed = [number for number, what in said.items() if what != "done"]
    if failed and calls in {"fsync", "fdatasync"}:
        assert max(done, default=-1) < failed[0], "something was acknowledged after a failed fsync"
    with Collection.open(path) as collection:
        there = {int(id.removeprefix("image-")) for id in content(collection)}
        # A commit that failed late may be there after all, whole; one that was acknowledged must be.
        assert done <= there <= done | set(failed) | {max(said, default=-1) + 1}
        assert collection.verify().problems == []
        collection.append([record("more", 1)])
