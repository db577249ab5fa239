"""One writer at a time: an flock on a file that says who holds it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from setwise_engine.errors import LockedError, NotFound

__all__ = ["COMPACTION_LOCK_FILE", "LOCK_FILE", "WriterLock"]

LOCK_FILE = "writer.lock"
COMPACTION_LOCK_FILE = "compaction.lock"
_PAUSE_S = 0.02


class WriterLock:
    """The right to write to a collection, taken for one commit.

    flock belongs to the open file, so it also keeps apart two collections that one process opened on one folder, and
    the kernel drops it when its holder dies. witness: a file that is open for as long as this object is used; when
    another file has its name, the folder is another one.
    """

    def __init__(
        self, folder: Path, *, wait_s: float = 5.0, name: str = LOCK_FILE, witness: Path | None = None
    ) -> None:
        self._path = folder / name
        self._wait_s = wait_s
        self._threads = threading.Lock()
        self._witness = witness
        self._number = _number(witness) if witness else None

    @contextlib.contextmanager
    def hold(self, *, wait_s: float | None = None) -> Iterator[None]:
        """Holds the lock inside the `with`.

        Raises LockedError naming the holder after `wait_s` seconds, and NotFound when the folder is gone from its
        place, also when another one has come there.
        """
        deadline = time.monotonic() + (self._wait_s if wait_s is None else wait_s)
        if not self._threads.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise LockedError("another thread of this process is writing to the collection; try again")
        try:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except FileNotFoundError:
                raise self._gone() from None
            try:
                self._flock(descriptor, deadline)
                self._check_place(descriptor)
                _write_holder(descriptor)
                try:
                    yield
                finally:
                    os.ftruncate(descriptor, 0)
            finally:
                os.close(descriptor)
        finally:
            self._threads.release()

    def _flock(self, descriptor: int, deadline: float) -> None:
        while True:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = _read_holder(descriptor)
                    message = (
                        f"{self._path.parent.name} is being written by {holder}; wait until it has ended and try again"
                    )
                    raise LockedError(message) from None
            time.sleep(_PAUSE_S)

    def _check_place(self, descriptor: int) -> None:
        """Whoever waited may have waited for the one who took the folder away."""
        if os.fstat(descriptor).st_ino != _number(self._path):
            raise self._gone()
        if self._witness and _number(self._witness) != self._number:
            raise self._gone()

    def _gone(self) -> NotFound:
        message = f'folder "{self._path.parent.name}" is not in its place any more: its collection was dropped or moved'
        return NotFound(message, field="collection")


def _number(path: Path) -> int | None:
    """What tells a file from another one of its name, while it is open somewhere."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _write_holder(descriptor: int) -> None:
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "command": " ".join(sys.argv)[:500]}
    text = json.dumps(holder).encode()
    with contextlib.suppress(OSError):  # a full disk: the lock is held all the same, by somebody without a name
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text, 0)


def _read_holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {holder['pid']} on {holder['host']} ({holder['command']})"
    except (ValueError, KeyError, TypeError):
        return "another process"
