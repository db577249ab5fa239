"""One version of a collection as a plain tar, written while the collection goes on (docs/format.md).

The read transaction lasts only while SQLite copies the catalog: segments never change, so what that version names can
be read at leisure afterwards.
"""

from __future__ import annotations

import functools
import hashlib
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from setwise_engine.collection._encoder_file import ENCODER_FILE
from setwise_engine.collection._manifest import MANIFEST, File, Manifest
from setwise_engine.collection._schema import CATALOG_FILE
from setwise_engine.collection._types import SnapshotInfo
from setwise_engine.collection._writer import SEGMENTS_FOLDER
from setwise_engine.errors import CollectionError, CorruptError

if TYPE_CHECKING:
    from setwise_engine.collection._collection import Collection
    from setwise_engine.collection._view import View

__all__ = ["Writes", "write_snapshot"]

_PIECE = 1 << 20
_PAGES = 4096  # of the catalog, copied in one go: 16 MiB


class Writes(Protocol):
    """What a snapshot is written to: a file, a pipe, or anything else that takes all the bytes it is given."""

    def write(self, data: bytes, /) -> object:
        """Takes at most 1 MiB."""


@dataclass(frozen=True, slots=True)
class _Member:
    """A file of the snapshot: its name, size and SHA-256, and its bytes in pieces when they are asked for."""

    name: str
    size: int
    sha256: str
    pieces: Callable[[], Iterator[bytes]]


class _Counted:
    """Counts and digests what goes through to a stream."""

    def __init__(self, stream: Writes) -> None:
        self._stream = stream
        self.bytes = 0
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.bytes += len(data)
        self.digest.update(data)
        self._stream.write(data)


def write_snapshot(collection: Collection, stream: Writes, *, scratch: Path | None = None) -> SnapshotInfo:
    """Writes the newest version of the collection to `stream` in pieces of at most 1 MiB; returns what was written.

    scratch: a folder that has room for a copy of the catalog; the system's temporary folder when None. Memory does not
    grow with the collection. Every segment is compared with its checksum on the way: raises CorruptError naming a
    damaged one (what was written until then is no snapshot), CollectionError when there is no room for the catalog,
    and whatever `stream.write` raises.
    """
    with tempfile.TemporaryDirectory(prefix="setwise-snapshot-", dir=scratch) as folder:
        catalog = Path(folder) / CATALOG_FILE
        with collection.snapshot() as snapshot:
            view = snapshot.view
            format = snapshot.read_catalog(lambda connection: _copy(connection, catalog))
        encoder = (collection.path / ENCODER_FILE).read_bytes()
        members = [
            _Member(CATALOG_FILE, catalog.stat().st_size, _sha256(catalog), lambda: _read(catalog)),
            _Member(ENCODER_FILE, len(encoder), hashlib.sha256(encoder).hexdigest(), lambda: _cut(encoder)),
            *_segments(collection.path / SEGMENTS_FOLDER, view),
        ]
        files = {member.name: File(member.size, member.sha256) for member in members}
        text = Manifest(format, collection.name, collection.uuid, view.version, view.images, files).to_bytes()
        first = _Member(MANIFEST, len(text), hashlib.sha256(text).hexdigest(), lambda: _cut(text))
        out = _Counted(stream)
        for piece in _tar([first, *members]):
            out.write(piece)
    return SnapshotInfo(out.bytes, out.digest.hexdigest(), view.version, view.images)


def _tar(members: list[_Member]) -> Iterator[bytes]:
    """The archive. Nothing in it depends on when or by whom it was written."""
    for member in members:
        header = tarfile.TarInfo(member.name)
        header.size = member.size
        yield header.tobuf(tarfile.PAX_FORMAT)
        digest, left = hashlib.sha256(), member.size
        for piece in member.pieces():
            digest.update(piece)
            left -= len(piece)
            if left < 0:
                break
            yield piece
        if left or digest.hexdigest() != member.sha256:
            raise CorruptError(f"{member.name} is damaged: its bytes are not those that were written; restore it first")
        yield bytes(-member.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _segments(folder: Path, view: View) -> Iterator[_Member]:
    for entry in view.entries.values():
        name = f"{SEGMENTS_FOLDER}/{entry.file}"
        yield _Member(name, entry.bytes, entry.sha256, functools.partial(_read, folder / entry.file))


def _read(path: Path) -> Iterator[bytes]:
    """Read, not mapped: a bad sector is an error here, and the end of the process there."""
    try:
        with path.open("rb", buffering=0) as stream:
            while piece := stream.read(_PIECE):
                yield piece
    except OSError as error:
        raise CorruptError(f"{path} cannot be read ({error.strerror}); restore it from a backup") from error


def _cut(data: bytes) -> Iterator[bytes]:
    return (data[first : first + _PIECE] for first in range(0, len(data), _PIECE))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _copy(connection: sqlite3.Connection, target: Path) -> int:
    """Copies the catalog as the connection's transaction sees it; returns its format version."""
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        copy.execute("PRAGMA synchronous=OFF")  # after a crash nobody looks for it
        try:
            connection.backup(copy, pages=_PAGES)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            raise CollectionError(f"no room in {target.parent} for a copy of the catalog; make room") from error
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
