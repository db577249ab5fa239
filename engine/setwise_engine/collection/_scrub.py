"""Reads a collection's files over and over, a little at a time, so that damage is found before the bytes are needed.

Files are read, not mapped (a bad sector is an error then, and the end of the process otherwise), and not kept in the
page cache: what searches have in memory stays there, and what is read comes from the disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from setwise_engine.collection._encoder_file import ENCODER_FILE, load_encoder
from setwise_engine.collection._index import SIDECAR
from setwise_engine.collection._index_problems import IndexFile, index_files
from setwise_engine.collection._segment import Segment
from setwise_engine.collection._segment_problems import row_problems
from setwise_engine.collection._types import ScrubProblem, SegmentEntry
from setwise_engine.collection._writer import SEGMENTS_FOLDER
from setwise_engine.errors import CollectionError

if TYPE_CHECKING:
    from setwise_engine.collection._collection import Collection

__all__ = ["Scrub"]

_PIECE = 1 << 20
_Result = TypeVar("_Result")
_Steps = Generator[tuple[int, list[ScrubProblem]], None, _Result]
"""Work in steps: each gives the bytes that it read and the problems that it found."""


class Scrub:
    """A cursor that goes round a collection's files for ever. For one thread; changes nothing.

        scrub = Scrub(collection)
        while True:
            problems = scrub.step(8 << 20)
            time.sleep(1)

    rounds: how often it has been all the way round. Each round begins with the newest version; the first begins
    anywhere in it, so that restarts do not leave the same files unread for ever. What it finds is found anew in each
    round. Catalog rows are not compared (`verify` does).
    """

    def __init__(self, collection: Collection) -> None:
        self.rounds = 0
        self._collection = collection
        self._work = self._round()

    def step(self, max_bytes: int) -> list[ScrubProblem]:
        """Reads on for some `max_bytes`, or to the end of the round; returns what was found to be damaged.

        Raises CollectionError when the collection was closed; the next step begins a new round.
        """
        problems: list[ScrubProblem] = []
        done = 0
        while done < max_bytes:
            try:
                read, found = next(self._work)
            except StopIteration:
                self.rounds += 1
                self._work = self._round()
                break
            except BaseException:
                self._work = self._round()
                raise
            done += read
            problems += found
        return problems

    def close(self) -> None:
        """Gives back the file at hand."""
        self._work.close()

    def _round(self) -> _Steps[None]:
        yield 0, list(self._encoder())
        with self._collection.snapshot() as snapshot:
            entries = list(snapshot.view.entries.values())
        first = secrets.randbelow(len(entries)) if entries and not self.rounds else 0
        for entry in entries[first:] + entries[:first]:
            yield from self._segment(entry)
        yield from self._index()

    def _segment(self, entry: SegmentEntry) -> _Steps[None]:
        path = self._collection.path / SEGMENTS_FOLDER / entry.file
        try:
            same = yield from _digest(path, entry.sha256)
        except OSError as error:
            message = f"segment {entry.file} cannot be read ({error.strerror}); restore it from a backup"
            yield 0, [ScrubProblem(entry.file, message)] if self._is_live(entry) else []
        else:
            if not same and self._is_live(entry):
                yield 0, [ScrubProblem(entry.file, message) for message in self._named(entry)]

    def _named(self, entry: SegmentEntry) -> Iterator[str]:
        """What exactly is wrong with a segment whose bytes are not those that were written."""
        settings, folder = self._collection.settings, self._collection.path / SEGMENTS_FOLDER
        named = False
        try:
            segment = Segment(
                folder, entry, collection=self._collection.uuid, dims=settings.dims, coarse=self._collection.coarse.dims
            )
        except CollectionError as error:
            yield str(error)
            return
        with self._collection.snapshot() as snapshot:
            for problem in snapshot.read_catalog(lambda c: list(row_problems(c, entry, segment))):
                named = True
                yield problem
        if not named:
            yield f"segment {entry.file} differs from its SHA-256; restore it from a backup"

    def _is_live(self, entry: SegmentEntry) -> bool:
        """Compaction may have unlinked it since the round began."""
        with self._collection.snapshot() as snapshot:
            return snapshot.view.entries.get(entry.id) == entry

    def _encoder(self) -> Iterator[ScrubProblem]:
        try:
            load_encoder(self._collection.path, self._collection.settings)
        except CollectionError as error:
            yield ScrubProblem(ENCODER_FILE, str(error))

    def _index(self) -> _Steps[None]:
        """The index is derived: what is wrong with it is mended by building it anew."""
        path, uuid = self._collection.path, self._collection.uuid
        files: list[IndexFile] = []
        try:
            files = index_files(path, uuid)
            for file in files:
                name, message = file.path.name, f"index {file.path.name} differs from its SHA-256"
                if not (yield from _digest(file.path, file.sha256)):
                    break
            else:
                return
        except (OSError, ValueError) as error:
            name, message = SIDECAR, f"the index cannot be read ({error})"
        with contextlib.suppress(OSError, ValueError):
            if index_files(path, uuid) != files:
                return  # a writer has put another in its place meanwhile
        yield 0, [ScrubProblem(name, f"{message}; build it anew", index=True)]


def _digest(path: Path, sha256: str) -> _Steps[bool]:
    """Reads a file from the disk, step by step; whether it has that SHA-256. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        descriptor = stream.fileno()
        _forget(descriptor)
        while piece := stream.read(_PIECE):
            digest.update(piece)
            yield len(piece), []
        _forget(descriptor)
    return digest.hexdigest() == sha256


def _forget(descriptor: int) -> None:
    """Drops the file's pages from the page cache, but for those that are mapped and in use."""
    if hasattr(os, "posix_fadvise"):  # not on macOS
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
