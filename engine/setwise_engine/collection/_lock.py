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

from setwise_engine.errors import LockedError

__all__ = ["COMPACTION_LOCK_FILE", "LOCK_FILE", "WriterLock"]

LOCK_FILE = "writer.lock"
COMPACTION_LOCK_FILE = "compaction.lock"
_PAUSE_S = 0.02


class WriterLock:
    """The right to write to a collection, taken for one commit.

    flock belongs to the open file, so it also keeps apart two collections that one process opened on one folder, and
    the kernel drops it when its holder dies.
    """

    def __init__(self, folder: Path, *, wait_s: float = 5.0, name: str = LOCK_FILE) -> None:
        self._path = folder / name
        self._wait_s = wait_s
        self._threads = threading.Lock()

    @contextlib.contextmanager
    def hold(self, *, wait_s: float | None = None) -> Iterator[None]:
        """Holds the lock inside the `with`. Raises LockedError naming the holder after `wait_s` seconds."""
        deadline = time.monotonic() + (self._wait_s if wait_s is None else wait_s)
        if not self._threads.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise LockedError("another thread of this process is writing to the collection; try again")
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                self._flock(descriptor, deadline)
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
                    message = f"{self._path.parent} is being written by {holder}; wait until it has ended and try again"
                    raise LockedError(message) from None
            time.sleep(_PAUSE_S)


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
