"""Upkeep of the collections in the background: compaction, index, and a slow check of every byte."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakKeyDictionary

from threadpoolctl import threadpool_limits

from setwise_engine.collection import Collection, Compaction, Scrub, ScrubProblem
from setwise_engine.errors import CancelledError, EngineError, LockedError, NotFound
from setwise_server._call import Call
from setwise_server._registry import Entry, Registry, State

__all__ = ["Maintenance"]

PAUSE_S = 1.0
AFTER_ERROR_S = 60.0
SCRUB_EVERY_S = 86_400.0
SCRUB_SHARE = 8
WAIT_S = 0.05
STOP_S = 5.0

log = logging.getLogger("setwise.server")


class Maintenance:
    """One thread that looks after every collection that may be written to, one at a time.

    Of several servers of one folder only one looks after a collection at a time. Calls are not held up: compaction and
    index work on what never changes, and take the writer lock for their commits alone. The bytes a second of the
    settings bound what compaction reads and writes; an eighth of them is spent on checking every byte once a day.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._wanted: WeakKeyDictionary[Entry, int] = WeakKeyDictionary()
        self._resume: WeakKeyDictionary[Entry, float] = WeakKeyDictionary()
        self._scrubs: WeakKeyDictionary[Entry, _Scrubbing] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Look after the collections until `stop`."""
        self._thread = threading.Thread(target=self._work, name="setwise-maintenance", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End soon: what compaction has not committed is left for the next time."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def compact_now(self, entry: Entry, call: Call, *, everything: bool) -> Compaction:
        """Compact and index at full speed, before whatever goes on in the background.

        Raises ReadOnlyError, LockedError, what `call` raises, and CorruptError for a collection that is damaged.
        """
        with self._first(entry), _upkeep(entry.path, call):
            done = entry.collection.compact(everything=everything, check=call)
            if entry.collection.index_due():
                entry.collection.build_index(check=call)
        return done

    def _work(self) -> None:
        with threadpool_limits(1, user_api="openmp"):  # training an index on all cores would hold up the searches
            while not self._stopped.wait(PAUSE_S):
                for entry in self._registry.entries():
                    if entry.state is State.READY and not self._stopped.is_set():
                        self._look_after(entry)

    def _look_after(self, entry: Entry) -> None:
        """One turn; whatever goes wrong is told in the log and tried again later."""
        if entry.collection.read_only or time.monotonic() < self._resume.get(entry, 0.0):
            return
        try:
            with _upkeep(entry.path):
                self._compact(entry)
                if entry.collection.index_due():
                    self._index(entry)
                self._scrub(entry)
        except (LockedError, CancelledError):
            pass  # another process looks after it, or a caller, or the server stops: the next turn goes on
        except Exception as error:
            if entry not in self._registry.entries():
                return  # it was dropped meanwhile
            self._resume[entry] = time.monotonic() + AFTER_ERROR_S
            told = isinstance(error, EngineError)
            log.error('upkeep of collection "%s" failed: %s', entry.name, error, exc_info=None if told else error)

    def _compact(self, entry: Entry) -> None:
        if entry.collection.compaction_due():
            limit = self._registry.settings.maintenance_bytes
            done = entry.collection.compact(bytes_per_second=limit, check=lambda: self._check(entry))
            for problem in done.problems:
                log.error('collection "%s" is damaged, and compaction leaves it so: %s', entry.name, problem)
            numbers = entry.name, done.segments_before, done.segments_after, done.dropped, done.bytes_written
            log.info('collection "%s" compacted: %d segments to %d, %d rows dropped, %d bytes written', *numbers)

    def _index(self, entry: Entry) -> None:
        made = entry.collection.build_index(check=lambda: self._check(entry))
        log.info('collection "%s" indexed: %s, %d images', entry.name, made.factory, made.rows)

    def _scrub(self, entry: Entry) -> None:
        scrubbing = self._scrubs.get(entry)
        if scrubbing is None:
            scrubbing = self._scrubs[entry] = _Scrubbing(entry.collection)
        problems = scrubbing.step(self._registry.settings.maintenance_bytes // SCRUB_SHARE)
        for problem in problems:
            log.error('collection "%s" is damaged: %s', entry.name, problem)
        if any(problem.index for problem in problems):
            self._index(entry)

    def _check(self, entry: Entry) -> None:
        if self._stopped.is_set() or self._wanted.get(entry):
            raise CancelledError("upkeep in the background gives way")

    @contextlib.contextmanager
    def _first(self, entry: Entry) -> Iterator[None]:
        """Inside, the background leaves the collection alone."""
        with self._lock:
            self._wanted[entry] = self._wanted.get(entry, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._wanted[entry] -= 1


class _Scrubbing:
    """Reads a collection from end to end, slowly, and begins anew a day after it began."""

    def __init__(self, collection: Collection) -> None:
        self._scrub = Scrub(collection)
        self._began = time.monotonic()
        self._last = self._began - PAUSE_S

    def step(self, bytes_per_second: int) -> list[ScrubProblem]:
        """Read on for as long as it has been since the last step; the problems found."""
        now = time.monotonic()
        if now < self._began:
            return []
        allowed = int(min(now - self._last, 2 * PAUSE_S) * bytes_per_second)
        self._last = now
        rounds = self._scrub.rounds
        problems = self._scrub.step(allowed)
        if self._scrub.rounds > rounds:
            self._began = self._began + SCRUB_EVERY_S
        return problems


@contextlib.contextmanager
def _upkeep(folder: Path, wait: Call | None = None) -> Iterator[None]:
    """The right to look after a collection, for one thread of one process; the kernel drops it when that dies.

    Raises LockedError when somebody else has it, or, with `wait`, waits until that call's time is up; NotFound when the
    folder is gone.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        message = f'folder "{folder.name}" is not in its place any more: its collection was dropped or moved'
        raise NotFound(message, field="name") from None
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if wait is None:
                    raise LockedError(f"another process looks after {folder}") from None
            wait.check()
            time.sleep(WAIT_S)
        yield
    finally:
        os.close(descriptor)
