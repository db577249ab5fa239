"""A snapshot back into a folder: nothing is believed that the archive says of itself until its bytes bear it out."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from setwise_engine.collection._collection import Collection
from setwise_engine.collection._durable import Disk
from setwise_engine.collection._lock import LOCK_FILE, WriterLock
from setwise_engine.collection._manifest import ADVICE, MANIFEST, File, Manifest, read_manifest
from setwise_engine.collection._place import absolute, check_local
from setwise_engine.collection._schema import CATALOG_FILE
from setwise_engine.collection._types import SnapshotInfo
from setwise_engine.collection._writer import SEGMENTS_FOLDER
from setwise_engine.errors import CollectionError, CorruptError, FormatError, LockedError

__all__ = ["restore"]

_PIECE = 1 << 20
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)


def restore(tar: Path | IO[bytes], folder: str | os.PathLike[str], *, disk: Disk | None = None) -> SnapshotInfo:
    """Unpacks a snapshot (a file, or a stream read to its end) into a folder that does not exist yet.

    It appears under its name only when every byte is there, compared and on disk; until then it grows in a hidden
    folder beside it, which the next attempt removes if this one is killed. Raises FormatError when this is no snapshot
    or one of an unknown version, CorruptError naming the member that is not what the manifest says, and
    CollectionError when the folder exists or the disk is full.
    """
    target, disk = absolute(folder), disk or Disk()
    check_local(target)
    if target.exists() or target.is_symlink():
        raise CollectionError(f"{target} exists; choose another name, or move it away first")
    if not isinstance(tar, Path):
        return _restore(tar, target, disk)
    try:
        stream = tar.open("rb")
    except OSError as error:
        raise CollectionError(f"snapshot {tar} cannot be read ({error.strerror}); check the path") from error
    with stream:
        return _restore(stream, target, disk)


def _restore(stream: IO[bytes], target: Path, disk: Disk) -> SnapshotInfo:
    with _disk_errors(target), _hidden(target, disk) as beside:
        counted = _Counted(stream)
        with _archive_errors(counted):
            manifest = _unpack(counted, beside, disk)
        _check_catalog(beside, manifest)
        for path in (beside / SEGMENTS_FOLDER, beside):
            disk.fsync_folder(path)
        disk.rename(beside, target)
        disk.fsync_folder(target.parent)
    return SnapshotInfo(counted.bytes, counted.digest.hexdigest(), manifest.version, manifest.images)


@contextlib.contextmanager
def _hidden(target: Path, disk: Disk) -> Iterator[Path]:
    """An empty folder beside the target, whose lock tells a restore at work from one that was killed."""
    beside = target.with_name(f".{target.name}.restoring")
    disk.make_folder(beside.parent)
    beside.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(WriterLock(beside).hold(wait_s=0))
        except LockedError:
            raise LockedError(f"{target} is being restored by another process; wait until it has ended") from None
        for path in beside.iterdir():
            if path.name != LOCK_FILE:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        (beside / SEGMENTS_FOLDER).mkdir()
        try:
            yield beside
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise


def _unpack(stream: _Counted, folder: Path, disk: Disk) -> Manifest:
    """Writes every member of the archive, compared with the manifest, and reads the stream to its end."""
    left: dict[str, File] = {}
    manifest: Manifest | None = None
    for member, content in _members(stream):
        if manifest is None:
            manifest = read_manifest(member.name, content)
            left = dict(manifest.files)
            _check_room(folder, sum(file.bytes for file in left.values()))
            continue
        file = left.pop(member.name, None)
        if file is None:
            raise CorruptError(f"the snapshot holds {member.name!r} twice, or {MANIFEST} does not name it; {ADVICE}")
        if member.size != file.bytes:
            raise CorruptError(f"{member.name} has {member.size} bytes instead of {file.bytes}; {ADVICE}")
        _write(folder / member.name, content, file, disk)
    if manifest is None:
        raise FormatError(f"the snapshot is empty; {ADVICE}")
    if left:
        raise CorruptError(f"the snapshot lacks {min(left)} (and {len(left) - 1} more); {ADVICE}")
    while stream.read(_PIECE):
        pass
    return manifest


def _members(stream: _Counted) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """The archive's plain files, in their order. Raises CorruptError for anything else in it, naming it."""
    with tarfile.open(fileobj=stream, mode="r|", errors="strict") as archive:  # type: ignore[call-overload]
        for member in archive:
            content = archive.extractfile(member) if member.type in _PLAIN and not member.issparse() else None
            if content is None:
                raise CorruptError(f"the snapshot holds {member.name!r}, which is no plain file; {ADVICE}")
            yield member, content
            archive.members = []  # otherwise it remembers every member


@contextlib.contextmanager
def _archive_errors(stream: _Counted) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        kind = CorruptError if stream.bytes > tarfile.RECORDSIZE else FormatError
        raise kind(f"this is no snapshot, or not a whole one ({error}); {ADVICE}") from error


def _write(path: Path, content: IO[bytes], file: File, disk: Disk) -> None:
    digest = hashlib.sha256()
    descriptor = disk.create(path)
    try:
        while piece := content.read(_PIECE):
            digest.update(piece)
            disk.write(descriptor, piece)
        if digest.hexdigest() != file.sha256:
            raise CorruptError(f"{path.name} differs from the SHA-256 in {MANIFEST}; {ADVICE}")
        disk.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_catalog(folder: Path, manifest: Manifest) -> None:
    """Opening it compares the catalog with the files, and everything but tokens and thumbnails with checksums."""
    with Collection.open(folder, read_only=True) as opened, opened.snapshot() as snapshot:
        if (opened.uuid, snapshot.version, len(snapshot)) != (manifest.uuid, manifest.version, manifest.images):
            raise CorruptError(f"{CATALOG_FILE} is of another collection or version than {MANIFEST}; {ADVICE}")


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CollectionError(f"the collection takes {needed:,} bytes, {folder.parent} has {free:,} left; make room")


@contextlib.contextmanager
def _disk_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"{target} could not be restored ({error.strerror or error}); nothing of it is left"
        raise CollectionError(f"{message}; check the disk, the rights and the snapshot's file") from error


class _Counted:
    """Counts and digests what is read from a stream."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.bytes = 0
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.bytes += len(data)
        self.digest.update(data)
        return data
