"""Group commit: the writes of many callers in one durable commit."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from setwise_engine.collection import Change, Collection, Put, Written
from setwise_engine.errors import CollectionError, EngineError, LockedError, NotFound
from setwise_server.settings import ServerSettings

__all__ = ["EACH_BYTES", "Check", "Committer", "no_check"]

TELL_AGAIN_S = 10.0
"""For so long the log is not told the same reason again: all who write meet a full disk, again and again."""

EACH_BYTES = 16 * 1024
"""What an image takes in memory on its way beside its tokens: 15 KiB were measured for sets of 4 x 32."""
MOST_CHANGES = 2000
"""Changes of one commit, unless a single call has more: what came during a long commit must not make the next one
longer still. An image takes 1.4 ms of one core, so that callers hear of theirs every few seconds at the latest."""

log = logging.getLogger("setwise.server")

T = TypeVar("T")
Check = Callable[[], None]


def no_check() -> None:
    """For writes that nobody can call off."""


class Committer:
    """Writes to one collection from one thread, in the order in which they came. Thread-safe.

    What comes within `commit_ms`, or until it amounts to `commit_bytes` or 2,000 changes, shares a commit; what
    somebody waits for (`urgent`) is committed as soon as the thread is free, with all that came by then
    (docs/decisions/0093-group-commit.md). A future is done when its changes are on disk for good, or failed: then
    nothing of them was stored.
    """

    def __init__(self, collection: Collection, settings: ServerSettings) -> None:
        self._collection = collection
        self._window = settings.commit_ms / 1000
        self._most = settings.commit_bytes
        self._waiting: deque[_Submission] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._told = ("", 0.0)

    def submit(self, changes: Sequence[Change], *, check: Check = no_check, urgent: bool = False) -> Future[Written]:
        """What the changes come to, one result for each. `check` is asked just before the commit; what it raises keeps
        the changes out of it. Raises NotFound once the committer was closed."""
        submission = _Submission(tuple(changes), sum(map(_size, changes)), check, urgent)
        self._put(submission)
        return submission.future

    def run(self, job: Callable[[Collection], T], *, check: Check = no_check) -> Future[T]:
        """What a write that is a commit of its own returns or raises; in its turn among the others."""
        submission = _Submission((), 0, check, urgent=True, job=job)
        self._put(submission)
        return submission.future

    def hurry(self) -> None:
        """Commit what waits without waiting for more."""
        with self._changed:
            for submission in self._waiting:
                submission.urgent = True
            self._changed.notify()

    def close(self) -> None:
        """Commit what waits, take no more, and wait for the thread to end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _put(self, submission: _Submission) -> None:
        with self._changed:
            if self._closed:
                message = f'collection "{self._collection.name}" is no longer served here; ask for the collections'
                raise NotFound(message, field="collection")
            if self._thread is None:
                # A daemon, so that a process which forgets to close a collection can still end; what it did not wait
                # for was not acknowledged.
                thread = threading.Thread(target=self._work, name="setwise-commit", daemon=True)
                thread.start()  # raises where no more threads may be: then nothing waits, and the next call tries again
                self._thread = thread
            self._waiting.append(submission)
            self._changed.notify()

    def _work(self) -> None:
        while group := self._take():
            error = _commit(self._collection, group)
            if isinstance(error, CollectionError) and not isinstance(error, LockedError):
                self._tell(str(error))

    def _tell(self, reason: str) -> None:
        """The callers are told too, but it is for who runs the server to see to it."""
        told, when = self._told
        now = time.monotonic()
        if reason != told or now - when >= TELL_AGAIN_S:
            log.error('a commit to collection "%s" failed, nothing of it was stored: %s', self._collection.name, reason)
            self._told = (reason, now)

    def _take(self) -> list[_Submission]:
        """What the next commit is made of; empty when there will be none."""
        with self._changed:
            while (left := self._left()) > 0:
                self._changed.wait(left)
            group: list[_Submission] = []
            size = count = 0
            while self._waiting:
                size += self._waiting[0].size
                count += len(self._waiting[0].changes)
                if group and (self._waiting[0].job is not None or size > self._most or count > MOST_CHANGES):
                    break
                group.append(self._waiting.popleft())
                if group[-1].job is not None:
                    break
            return group

    def _left(self) -> float:
        """Seconds for which more may be waited for."""
        if self._closed or any(submission.urgent for submission in self._waiting):
            return 0
        if sum(submission.size for submission in self._waiting) >= self._most:
            return 0
        if sum(len(submission.changes) for submission in self._waiting) >= MOST_CHANGES:
            return 0
        if not self._waiting:
            return threading.TIMEOUT_MAX
        return self._waiting[0].came + self._window - time.monotonic()


@dataclass(slots=True, eq=False)
class _Submission:
    """Changes that one caller wants in one commit, or a job. size: bytes."""

    changes: tuple[Change, ...]
    size: int
    check: Check
    urgent: bool = False
    job: Callable[[Collection], Any] | None = None
    future: Future[Any] = field(default_factory=Future)
    came: float = field(default_factory=time.monotonic)


def _commit(collection: Collection, group: Sequence[_Submission]) -> BaseException | None:
    """Does what is asked and tells each caller; nothing is raised. Gives why it failed, None when it did not."""
    wanted = [submission for submission in group if _still_wanted(submission)]
    if not wanted:
        return None
    try:
        job = wanted[0].job
        if job is not None:
            wanted[0].future.set_result(job(collection))
            return None
        written = collection.write([change for submission in wanted for change in submission.changes])
    except BaseException as error:  # whatever it is, the callers must not wait for ever
        for submission in wanted:
            submission.future.set_exception(error)
        return error
    first = 0
    for submission in wanted:
        last = first + len(submission.changes)
        submission.future.set_result(Written(written.version, written.results[first:last]))
        first = last
    return None


def _still_wanted(submission: _Submission) -> bool:
    try:
        submission.check()
    except EngineError as error:
        submission.future.set_exception(error)
        return False
    return True


def _size(change: Change) -> int:
    """Bytes that a change will take while it is written, roughly."""
    if not isinstance(change, Put):
        return 1000
    record = change.record
    return EACH_BYTES + record.features.tokens.nbytes + len(record.thumbnail)
