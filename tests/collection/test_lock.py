"""One writer at a time; whoever has to wait too long is told for whom."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from setwise_engine.collection import Collection, ImageRecord
from setwise_engine.collection._lock import WriterLock
from setwise_engine.errors import LockedError

HOLD = """
import sys, pathlib
from setwise_engine.collection._lock import WriterLock
with WriterLock(pathlib.Path(sys.argv[1])).hold():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(collection: Collection) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(collection.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_is_told_who_holds_the_lock(
    collection: Collection, holder: subprocess.Popen[str], make: Callable[..., ImageRecord]
) -> None:
    collection._writer.lock._wait_s = 0.1
    with pytest.raises(LockedError, match=f"process {holder.pid} on .* wait until it has ended"):
        collection.append([make("a")])
    with collection.snapshot() as snapshot:  # readers do not care
        assert len(snapshot) == 0
    with Collection.open(collection.path) as opened:  # nor does opening: it leaves the sweeping to the holder
        assert opened.verify().ok


def test_a_second_writer_waits_for_the_first(
    collection: Collection, holder: subprocess.Popen[str], make: Callable[..., ImageRecord]
) -> None:
    threading.Timer(0.2, holder.kill).start()  # the kernel drops the lock of the dead
    assert collection.append([make("a")]) == 1


def test_two_openings_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    first, second = WriterLock(tmp_path), WriterLock(tmp_path, wait_s=0.05)
    with first.hold(), pytest.raises(LockedError, match="process"), second.hold():
        pass
    with second.hold():
        pass


def test_threads_take_turns(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path)
    inside: list[int] = []

    def work() -> None:
        for _ in range(20):
            with lock.hold():
                inside.append(1)
                assert len(inside) == 1
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with lock.hold(), pytest.raises(LockedError, match="thread"), lock.hold(wait_s=0.01):
        pass
