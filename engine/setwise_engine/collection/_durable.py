"""Every durable write of a collection: the one place that a test can replace by a recorder.

A file is written under a temporary name, forced to disk, renamed, and its folder forced to disk; only then does the
catalog commit. After an fsync has failed, the kernel may have dropped the data and a second fsync may still answer
success (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020), so nothing is retried: the
disk turns read-only until the collection is opened anew.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import CollectionError, ReadOnlyError

__all__ = ["Bytes", "Disk"]

Bytes = bytes | NDArray[Any]
"""What can be written without a copy: bytes or a C-contiguous array."""


class Disk:
    """Writes, forces and renames files, and commits the catalog."""

    def __init__(self) -> None:
        self._failure = ""

    def check(self) -> None:
        """Raises ReadOnlyError once a write could not be forced to disk."""
        if self._failure:
            raise ReadOnlyError(self._failure)

    def publish(self, path: Path, chunks: Iterable[Bytes]) -> None:
        """Writes a new file so that after a crash it is whole or absent; `path` is replaced if it exists.

        Raises ReadOnlyError when it could not be forced to disk, CollectionError when it could not be written.
        """

        def fill(write: Callable[[Bytes], None]) -> None:
            for chunk in chunks:
                write(chunk)

        self.publish_filled(path, fill)

    def publish_filled(
        self, path: Path, fill: Callable[[Callable[[Bytes], None]], None], *, flush: int | None = None
    ) -> None:
        """As `publish`, of what `fill` hands to the function that it is given.

        flush: force to disk what there is whenever so many bytes more were written, so that a large file that is
        written slowly does not hold up others with all of its bytes at the end.
        """
        self.check()
        temporary = path.with_name(f"{path.name}.tmp")
        try:
            descriptor = self.create(temporary)
            try:
                fill(self._flushing(descriptor, flush) if flush else functools.partial(self.write, descriptor))
                self.fsync(descriptor)
            finally:
                os.close(descriptor)
            self.rename(temporary, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise _cannot_write(path, error) from error
        self.fsync_folder(path.parent)

    def create(self, path: Path) -> int:
        """Opens a new, empty file for writing and returns its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)

    def write(self, descriptor: int, chunk: Bytes) -> None:
        """Appends all bytes of the chunk."""
        left = chunk.view(np.uint8).reshape(-1).data if isinstance(chunk, np.ndarray) else memoryview(chunk)
        while left:
            left = left[os.write(descriptor, left) :]

    def fsync(self, descriptor: int) -> None:
        """Forces a file to disk. Raises ReadOnlyError when that failed."""
        with self._must_last("a file"):
            os.fsync(descriptor)

    def fsync_path(self, path: Path) -> None:
        """Forces a closed file to disk. Raises ReadOnlyError when that failed."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Gives a file its final name, replacing what had it."""
        source.replace(target)

    def fsync_folder(self, folder: Path) -> None:
        """Forces a folder's names to disk. Raises ReadOnlyError when that failed."""
        with self._must_last(f"folder {folder}"):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def make_folder(self, folder: Path) -> None:
        """Makes a folder, and those above it that are missing, so that none of their names is lost in a crash."""
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for path in made:
            self.fsync_folder(path.parent)

    def commit(self, connection: sqlite3.Connection) -> None:
        """Commits the catalog; SQLite forces its log to disk. Raises ReadOnlyError when that failed."""
        try:
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_IOERR:
                raise self._fail("the catalog", error) from error
            raise

    def remove(self, path: Path) -> None:
        """Removes a file that nothing refers to; that it is gone need not last."""
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

    def _flushing(self, descriptor: int, flush: int) -> Callable[[Bytes], None]:
        waiting = 0

        def write(chunk: Bytes) -> None:
            nonlocal waiting
            self.write(descriptor, chunk)
            waiting += len(chunk) if isinstance(chunk, bytes) else chunk.nbytes
            if waiting >= flush:
                self.fsync(descriptor)
                waiting = 0

        return write

    @contextlib.contextmanager
    def _must_last(self, what: str) -> Any:
        try:
            yield
        except OSError as error:
            raise self._fail(what, error) from error

    def _fail(self, what: str, error: Exception) -> ReadOnlyError:
        self._failure = (
            f"{what} could not be forced to disk ({error}); what was being written is not stored, and the collection "
            "is read-only until it is opened again; check the disk first"
        )
        return ReadOnlyError(self._failure)


def _cannot_write(path: Path, error: OSError) -> CollectionError:
    message = f"{path} could not be written ({error.strerror or error}); nothing of it was stored; make room and retry"
    return CollectionError(message)
