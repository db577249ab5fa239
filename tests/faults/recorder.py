"""A collection's disk that notes every durable operation that it makes.

What SQLite writes does not pass `Disk`: the catalog's files are read after each commit and before each operation, and
what has changed in them is noted as SQLite makes it in WAL mode with synchronous=FULL: frames into the log, fsync of
the log; at a checkpoint pages into the database, fsync of the database. `scripts/fsync-order` holds this against the
system calls.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from crash import Kind, Operation

from setwise_engine.collection._durable import Bytes, Disk

__all__ = ["Recorder", "files_in"]

_PAGE = 4096
_LOG_HEADER = 32
_FRAME = 24 + _PAGE


def files_in(folder: Path) -> dict[str, bytes]:
    """What lies in a folder and below, but SQLite's shared memory, which no crash leaves."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


class Recorder(Disk):
    """Notes the operations on files below `root` in `log`. Safe from many threads."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.log: list[Operation] = []
        self._root = root
        self._lock = threading.RLock()
        self._descriptors: dict[int, int] = {}
        self._offsets: dict[int, int] = {}
        self._files: dict[str, int] = {}
        self._catalogs: dict[str, bytes] = {}
        self._next = 0

    def start(self, catalog: Path) -> dict[str, bytes]:
        """Forgets what was noted and takes the folder as it is for the beginning; returns its files."""
        with self._lock:
            files = files_in(self._root)
            self._files = {path: -2 - i for i, path in enumerate(files)}
            name = self._name(catalog)
            self._catalogs = {path: files.get(path, b"") for path in (name, f"{name}-wal")}
            self.log.clear()
            return files

    def begin(self, version: int) -> None:
        """Notes that commits up to this version may be under way."""
        self._note(Operation(Kind.BEGIN, offset=version))

    def done(self, version: int) -> None:
        """Notes that this version has been acknowledged."""
        self._note(Operation(Kind.DONE, offset=version))

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        with self._lock:
            self._descriptors[descriptor] = self._created(self._name(path))
        return descriptor

    def write(self, descriptor: int, chunk: Bytes) -> None:
        super().write(descriptor, chunk)
        with self._lock:
            self._written(self._descriptors[descriptor], bytes(chunk))

    def fsync(self, descriptor: int) -> None:
        super().fsync(descriptor)
        with self._lock:
            if descriptor in self._descriptors:
                self._note(Operation(Kind.FSYNC, file=self._descriptors[descriptor]))

    def fsync_path(self, path: Path) -> None:
        """Somebody else (FAISS, SQLite) wrote the file: all of it counts as written now."""
        with self._lock:
            file = self._created(self._name(path))
            self._written(file, path.read_bytes())
        super().fsync_path(path)
        self._note(Operation(Kind.FSYNC, file=file))

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        with self._lock:
            self._note(Operation(Kind.RENAME, self._name(source), to=self._name(target)))
            if self._name(source) in self._files:
                self._files[self._name(target)] = self._files.pop(self._name(source))

    def fsync_folder(self, folder: Path) -> None:
        super().fsync_folder(folder)
        self._note(Operation(Kind.FSYNC_FOLDER, self._name(folder)))

    def remove(self, path: Path) -> None:
        super().remove(path)
        self._note(Operation(Kind.REMOVE, self._name(path)))

    def commit(self, connection: sqlite3.Connection) -> None:
        super().commit(connection)
        self._note(None)

    def _note(self, operation: Operation | None) -> None:
        with self._lock:
            if self._catalogs:
                self._look_at_the_catalog()
            if operation is not None:
                self.log.append(operation)

    def _look_at_the_catalog(self) -> None:
        database, log = self._catalogs
        after = {path: self._read(path) for path in self._catalogs}
        if after[log] is not None:
            self._forced(log, list(_changed(self._catalogs[log], after[log], _LOG_HEADER, _FRAME)))
        self._forced(database, list(_changed(self._catalogs[database], after[database] or b"", 0, _PAGE)))
        if after[log] is None and log in self._files:
            self.log.append(Operation(Kind.REMOVE, log))
            del self._files[log]
        self._catalogs = {path: data or b"" for path, data in after.items()}

    def _forced(self, path: str, changes: list[tuple[int, bytes]]) -> None:
        if not changes:
            return
        new = path not in self._files
        file = self._created(path) if new else self._files[path]
        self.log += [Operation(Kind.WRITE, path, file, offset, data) for offset, data in changes]
        self.log.append(Operation(Kind.FSYNC, path, file))
        if new:
            self.log.append(Operation(Kind.FSYNC_FOLDER, str(Path(path).parent)))

    def _read(self, path: str) -> bytes | None:
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            return None

    def _created(self, path: str) -> int:
        self._next += 1
        self._files[path] = self._next
        self._offsets[self._next] = 0
        self._note(None)
        self.log.append(Operation(Kind.CREATE, path, self._next))
        return self._next

    def _written(self, file: int, data: bytes) -> None:
        self._note(Operation(Kind.WRITE, file=file, offset=self._offsets[file], data=data))
        self._offsets[file] += len(data)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._root))


def _changed(before: bytes, after: bytes, header: int, unit: int) -> Iterator[tuple[int, bytes]]:
    """Offsets and bytes of the units that differ."""
    if before == after:
        return
    start = 0
    while start < len(after):
        stop = header if start < header else start + unit
        if before[start:stop] != after[start:stop]:
            yield start, after[start:stop]
        start = stop
