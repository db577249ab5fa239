"""What a crash may leave of a record of file operations: the model of a disk that keeps only what was forced to it.

A record is a list of operations, in the order in which they were made. Of those before a crash, these have surely
arrived: a file's bytes up to its last fsync, and a folder's names up to the last fsync of the folder. Of the rest
anything may have arrived: some names and not others, some sectors of some writes, a file's length without its bytes.
(Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014, found each of these.)
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

__all__ = ["Disk", "Files", "Kind", "Operation", "crashes"]

Files = dict[str, bytes]
"""What lies in a folder: paths relative to it, and bytes."""

SECTOR = 512


class Kind(StrEnum):
    """What an operation does. `target` is a path, or the number of a file where it acts on an open one."""

    CREATE = "create"  # path, file number: opened for writing, empty
    WRITE = "write"  # file number, offset, data
    TRUNCATE = "truncate"  # file number, offset: the new length
    FSYNC = "fsync"  # file number
    RENAME = "rename"  # path, new path
    REMOVE = "remove"  # path
    FSYNC_FOLDER = "fsync_folder"  # path
    BEGIN = "begin"  # version: a commit of it may be under way from here on
    DONE = "done"  # version: it was acknowledged


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a record."""

    kind: Kind
    path: str = ""
    file: int = -1
    offset: int = 0
    data: bytes = b""
    to: str = ""

    def __str__(self) -> str:
        if self.kind in {Kind.BEGIN, Kind.DONE}:
            return f"{self.kind} {self.offset}"
        size = f" {len(self.data)} bytes at {self.offset}" if self.data else ""
        return f"{self.kind} {self.path or self.file}{f' to {self.to}' if self.to else ''}{size}"


@dataclass(slots=True)
class File:
    """The bytes of a file that have surely arrived, and the changes of which nobody knows."""

    arrived: bytes = b""
    pending: list[Operation] = field(default_factory=list)

    def seen(self) -> bytes:
        """What a program reads."""
        return _changed(self.arrived, self.pending)


@dataclass(frozen=True, slots=True)
class Move:
    """A folder gets another name, and all that lies in it another path."""

    old: str
    new: str


Change = dict[str, "int | None"] | Move
"""A change of names: paths to files, or to None where nothing is left; all of it at once."""


@dataclass(slots=True)
class Disk:
    """The state after some operations. names: what programs see; arrived: what surely lasts; pending: between them."""

    files: dict[int, File] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    arrived: dict[str, int] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)
    begun: int = 0
    done: int = 0
    last: Operation | None = None

    @classmethod
    def of(cls, files: Mapping[str, bytes], version: int) -> Disk:
        """A disk on which everything has arrived; its files are numbered -2, -3, ..."""
        names = {path: -2 - i for i, path in enumerate(files)}
        stored = {names[path]: File(data) for path, data in files.items()}
        return cls(stored, dict(names), dict(names), [], version, version)

    def apply(self, operation: Operation) -> None:
        """Takes the next operation of the record."""
        self.last = operation
        match operation.kind:
            case Kind.CREATE:
                self.files[operation.file] = File()
                self._link({operation.path: operation.file})
            case Kind.WRITE | Kind.TRUNCATE:
                self.files[operation.file].pending.append(operation)
            case Kind.FSYNC:
                forced = self.files[operation.file]
                forced.arrived, forced.pending = forced.seen(), []
            case Kind.RENAME:
                file = self.names.get(operation.path)
                whole = Move(operation.path, operation.to)
                self._link(whole if file is None else {operation.path: None, operation.to: file})
            case Kind.REMOVE:
                self._link({operation.path: None})
            case Kind.FSYNC_FOLDER:
                self._force(operation.path)
            case Kind.BEGIN:
                self.begun = max(self.begun, operation.offset)
            case Kind.DONE:
                self.done = max(self.done, operation.offset)
                self.begun = max(self.begun, self.done)

    def _link(self, change: Change) -> None:
        self.pending.append(change)
        _relink(self.names, change)

    def _force(self, folder: str) -> None:
        """A rename within the folder arrives whole; one between folders only where both were forced."""
        left: list[Change] = []
        for change in self.pending:
            if isinstance(change, Move):
                if _folder(change.old) == _folder(change.new) == folder:
                    _relink(self.arrived, change)
                else:
                    left.append(change)
                continue
            inside = {path: file for path, file in change.items() if _folder(path) == folder}
            outside = {path: file for path, file in change.items() if path not in inside}
            _relink(self.arrived, inside)
            if outside:
                left.append(outside)
        self.pending = left


def crashes(disk: Disk, rng: random.Random, chances: int) -> Iterator[tuple[str, Files]]:
    """What a crash now may leave: four plain cases and some that `rng` draws, each with its name."""
    yield "unsynced data and names lost", _left(disk.arrived, disk, lambda file: file.arrived)
    yield "names arrived, unsynced data lost", _left(disk.names, disk, lambda file: file.arrived)
    yield "lengths arrived, unsynced bytes zero", _left(disk.names, disk, _zeros)
    yield "all arrived, the last write by half", _left(disk.names, disk, lambda file: _halved(file, disk.last))
    for _ in range(chances):
        names = dict(disk.arrived)
        # In order as a journal does it, or any of them.
        cut = rng.randrange(len(disk.pending) + 1) if rng.random() < 0.5 else None
        for i, change in enumerate(disk.pending):
            if i < cut if cut is not None else rng.random() < 0.5:
                _relink(names, change)
        yield "some arrived", _left(names, disk, lambda file: _some(file, rng))


def _left(names: Mapping[str, int], disk: Disk, read: object) -> Files:
    return {path: read(disk.files[file]) for path, file in names.items()}  # type: ignore[operator]


def _zeros(file: File) -> bytes:
    return file.arrived + bytes(max(0, len(file.seen()) - len(file.arrived)))


def _halved(file: File, last: Operation | None) -> bytes:
    if last is None or last.kind is not Kind.WRITE or not file.pending or file.pending[-1] is not last:
        return file.seen()
    half = Operation(Kind.WRITE, file=last.file, offset=last.offset, data=last.data[: len(last.data) // 2])
    return _changed(file.arrived, [*file.pending[:-1], half])


def _some(file: File, rng: random.Random) -> bytes:
    """Each pending write whole, not at all, or some of its sectors; in the last case its length may have arrived."""
    if not file.pending:
        return file.arrived
    kept: list[Operation] = []
    for change in file.pending:
        luck = rng.random()
        if luck < 0.5:
            kept.append(change)
        elif luck < 0.75 and change.kind is Kind.WRITE:
            kept += [piece for piece in _sectors(change) if rng.random() < 0.5]
    return _changed(file.arrived, kept)


def _sectors(write: Operation) -> Iterator[Operation]:
    start, end = write.offset, write.offset + len(write.data)
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        data = write.data[start - write.offset : stop - write.offset]
        yield Operation(Kind.WRITE, file=write.file, offset=start, data=data)
        start = stop


def _changed(data: bytes, changes: list[Operation]) -> bytes:
    if not changes:
        return data
    result = bytearray(data)
    for change in changes:
        if change.kind is Kind.TRUNCATE:
            del result[change.offset :]
            result.extend(bytes(change.offset - len(result)))
        else:
            result.extend(bytes(max(0, change.offset - len(result))))
            result[change.offset : change.offset + len(change.data)] = change.data
    return bytes(result)


def _relink(names: dict[str, int], change: Change) -> None:
    if isinstance(change, Move):
        for path in [path for path in names if path.startswith(f"{change.old}/")]:
            names[change.new + path.removeprefix(change.old)] = names.pop(path)
        return
    for path, file in change.items():
        if file is None:
            names.pop(path, None)
        else:
            names[path] = file


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)
