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
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
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
    from setwise_engine.collection._segment import Segment
    from setwise_engine.collection._view import View

__all__ = ["PIECE", "SnapshotTar", "Writes", "snapshot_tar", "write_snapshot"]

PIECE = 1 << 20
"""Bytes of a piece: what a message of the server carries."""

_END = bytes(2 * tarfile.BLOCKSIZE)
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


class SnapshotTar:
    """A snapshot that can be read: the collection's name, its version and images, and the bytes of the archive."""

    def __init__(self, name: str, version: int, images: int, members: Sequence[_Member]) -> None:
        """Use `snapshot_tar`."""
        self.name = name
        self.version = version
        self.images = images
        self.bytes = sum(len(_header(m)) + m.size + len(_padding(m)) for m in members) + len(_END)
        self._members = members
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """SHA-256 of the pieces that were read, hexadecimal."""
        return self._digest.hexdigest()

    def pieces(self) -> Iterator[bytes]:
        """The archive, once, in pieces of 1 MiB; the last is shorter.

        Raises CorruptError naming a file that is not what was written. What came before is no snapshot then.
        """
        kept = bytearray()
        for part in _archive(self._members):
            kept += part
            while len(kept) >= PIECE:
                yield self._counted(kept[:PIECE])
                del kept[:PIECE]
        yield self._counted(kept)

    def _counted(self, piece: bytearray) -> bytes:
        self._digest.update(piece)
        return bytes(piece)


@contextmanager
def snapshot_tar(collection: Collection, *, scratch: Path | None = None) -> Iterator[SnapshotTar]:
    """The newest version of the collection as an archive, to be read inside the `with`.

    scratch: a folder that has room for a copy of the catalog; the system's temporary folder when None. Memory does not
    grow with the collection, but for the names of its segments. Raises CollectionError when there is no room for the
    catalog.
    """
    with tempfile.TemporaryDirectory(prefix="setwise-snapshot-", dir=scratch) as folder:
        catalog = Path(folder) / CATALOG_FILE
        with collection.snapshot() as snapshot:
            view = snapshot.view
            format = snapshot.read_catalog(lambda connection: _copy(connection, catalog))
        members = [
            _Member(CATALOG_FILE, catalog.stat().st_size, _sha256(catalog), lambda: _read(catalog)),
            _small(ENCODER_FILE, (collection.path / ENCODER_FILE).read_bytes()),
            *_segments(collection.path / SEGMENTS_FOLDER, view),
        ]
        files = {member.name: File(member.size, member.sha256) for member in members}
        manifest = Manifest(format, collection.name, collection.uuid, view.version, view.images, files)
        yield SnapshotTar(collection.name, view.version, view.images, [_small(MANIFEST, manifest.to_bytes()), *members])


def write_snapshot(collection: Collection, stream: Writes, *, scratch: Path | None = None) -> SnapshotInfo:
    """Writes the newest version of the collection to a stream; returns what was written.

    scratch and errors: as of `snapshot_tar`, and whatever `stream.write` raises.
    """
    with snapshot_tar(collection, scratch=scratch) as tar:
        for piece in tar.pieces():
            stream.write(piece)
    return SnapshotInfo(tar.bytes, tar.sha256, tar.version, tar.images)


def _archive(members: Sequence[_Member]) -> Iterator[bytes]:
    """Nothing in it depends on when or by whom it was written."""
    for member in members:
        yield _header(member)
        digest, left = hashlib.sha256(), member.size
        for piece in member.pieces():
            digest.update(piece)
            left -= len(piece)
            if left < 0:
                break
            yield piece
        if left or digest.hexdigest() != member.sha256:
            raise CorruptError(f"{member.name} is damaged: its bytes are not those that were written; restore it first")
        yield _padding(member)
    yield _END


def _header(member: _Member) -> bytes:
    header = tarfile.TarInfo(member.name)
    header.size = member.size
    return header.tobuf(tarfile.PAX_FORMAT)


def _padding(member: _Member) -> bytes:
    return bytes(-member.size % tarfile.BLOCKSIZE)


def _small(name: str, data: bytes) -> _Member:
    return _Member(name, len(data), hashlib.sha256(data).hexdigest(), lambda: iter([data]))


def _segments(folder: Path, view: View) -> Iterator[_Member]:
    for number, entry in view.entries.items():
        pieces = functools.partial(_read_segment, folder / entry.file, view.segments[number])
        yield _Member(f"{SEGMENTS_FOLDER}/{entry.file}", entry.bytes, entry.sha256, pieces)


def _read_segment(path: Path, segment: Segment) -> Iterator[bytes]:
    """From the file, or from the mapping when compaction has unlinked it: names are never used twice.

    Read where possible: a bad sector is an error there, and the end of the process in a mapping.
    """
    try:
        with path.open("rb", buffering=0) as stream:
            while piece := stream.read(PIECE):
                yield piece
    except FileNotFoundError:
        for first in range(0, len(segment.data), PIECE):
            yield segment.data[first : first + PIECE].tobytes()
    except OSError as error:
        raise CorruptError(f"{path} cannot be read ({error.strerror}); restore it from a backup") from error


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as stream:
        while piece := stream.read(PIECE):
            yield piece


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
