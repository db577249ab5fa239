"""One writer at a time; whoever has to wait too long is told for whom."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from setwise_engine.collection import Collection, ImageRecord
from setwise_engine.collection._lock import WriterLock
from setwise_engine.errors import LockedError, NotFound

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


def test_a_collection_that_was_taken_away_is_said_to_be_gone(
    collection: Collection, make: Callable[..., ImageRecord], tmp_path: Path
) -> None:
    collection.append([make("a")])
    collection.path.rename(tmp_path / "dropped")
    for write in (lambda: collection.append([make("b")]), lambda: collection.delete(["a"]), collection.compact):
        with pytest.raises(NotFound, match="dropped or moved"):
            write()


def test_a_writer_never_writes_into_another_collection_that_came_in_the_place_of_its_own(
    collection: Collection, make: Callable[..., ImageRecord], tmp_path: Path
) -> None:
    with Collection.create(tmp_path / "other", collection.settings, collection.encoder) as other:
        other.append([make("x")])
    shutil.move(collection.path, tmp_path / "dropped")
    shutil.move(tmp_path / "other", collection.path)
    before = sorted(collection.path.rglob("*"))
    with pytest.raises(NotFound, match="dropped or moved"):
        collection.append([make("a")])
    assert sorted(collection.path.rglob("*")) == before


def test_whoever_waited_for_the_one_who_took_the_folder_away_does_not_write(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    first, second = WriterLock(folder), WriterLock(folder)
    told: list[BaseException] = []

    def wait() -> None:
        try:
            with second.hold():
                pass
        except NotFound as error:
            told.append(error)

    with first.hold():
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.1)
        folder.rename(tmp_path / "dropped")
    waiting.join()
    assert [type(error) for error in told] == [NotFound]
