"""Reads every byte of a collection and names whatever is not what was written; changes nothing."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from setwise_engine.coarse import Coarse
from setwise_engine.collection._catalog import Catalog, read_number, read_settings, read_text
from setwise_engine.collection._catalog_problems import catalog_problems
from setwise_engine.collection._encoder_file import load_encoder
from setwise_engine.collection._index_problems import file_sha256, index_problems
from setwise_engine.collection._place import existing_folder, is_writable
from setwise_engine.collection._schema import sqlite_errors
from setwise_engine.collection._segment import Segment
from setwise_engine.collection._segment_problems import count_images, row_problems
from setwise_engine.collection._types import SegmentEntry, VerifyReport
from setwise_engine.collection._view import entries
from setwise_engine.collection._writer import SEGMENTS_FOLDER
from setwise_engine.errors import CollectionError, CorruptError

__all__ = ["verify_folder"]

Progress = Callable[[int, int], None]


def verify_folder(path: str | Path, progress: Progress | None = None, *, recompute: bool = False) -> VerifyReport:
    """Verifies the collection in a folder, also one that is too damaged to be opened.

    progress: called with the bytes done and the bytes in all. recompute: besides comparing each int8 gate with its
    checksum, hold it against the tokens. Runs beside writers. Raises NotFound and FormatError when there is no
    collection of a known version; everything else is a problem in the report.
    """
    folder = existing_folder(path)
    run = _Run(folder, progress or (lambda done, total: None), recompute=recompute)
    try:
        with contextlib.closing(Catalog(folder, writable=is_writable(folder))) as catalog:
            run.all(catalog)
    except CorruptError as error:
        run.problems.append(str(error))
    return VerifyReport(not run.problems, run.problems, run.images, run.done)


class _Run:
    """One verification: the problems so far and the bytes done."""

    def __init__(self, folder: Path, progress: Progress, *, recompute: bool) -> None:
        self.problems: list[str] = []
        self.images = 0
        self.done = 0
        self._total = 0
        self._folder = folder
        self._progress = progress
        self._recompute = recompute

    def all(self, catalog: Catalog) -> None:
        """The catalog first, then what it refers to; one read transaction each, so that SQLite's log need not wait.

        What is compacted meanwhile lies elsewhere then: a second pass reads what the first did not find there.
        """
        with self._reading(catalog) as connection:
            self.problems += catalog_problems(connection)
            read_number(connection, "version")  # raises when it is gone
            uuid = read_text(connection, "uuid")
            open_segment = self._opener(connection, uuid)
            self.images = count_images(connection) if open_segment else 0
        done: set[str] = set()
        for _ in range(2):
            with self._reading(catalog) as connection:
                todo = [entry for entry in entries(connection).values() if entry.file not in done]
            self._total += sum(entry.bytes for entry in todo)
            for entry in todo:
                done.add(entry.file)
                found = list(self._segment(catalog, entry, open_segment))
                if found and self._is_live(catalog, entry):
                    self.problems += found
        with self._reading(catalog) as connection:
            self.problems += index_problems(connection, self._folder, uuid)

    def _opener(self, connection: sqlite3.Connection, uuid: str) -> Callable[[SegmentEntry], Segment] | None:
        """What maps a segment; None when settings or encoder are damaged, so that nobody knows what it should be."""
        try:
            settings = read_settings(connection)
            coarse = Coarse(settings.coarse, load_encoder(self._folder, settings).coarse_basis).dims
        except CollectionError as error:
            self.problems.append(str(error))
            return None
        folder = self._folder / SEGMENTS_FOLDER
        return lambda entry: Segment(folder, entry, collection=uuid, dims=settings.dims, coarse=coarse)

    def _segment(
        self, catalog: Catalog, entry: SegmentEntry, open_segment: Callable[[SegmentEntry], Segment] | None
    ) -> Iterator[str]:
        if open_segment is not None:
            sound = True
            try:
                segment = open_segment(entry)
            except CollectionError as error:
                yield str(error)
                return
            with self._reading(catalog) as connection:
                for problem in row_problems(connection, entry, segment, recompute=self._recompute):
                    sound = False
                    yield problem
            if not sound:
                return
        try:
            same = file_sha256(self._folder / SEGMENTS_FOLDER / entry.file, self._advance) == entry.sha256
        except OSError as error:
            yield f"segment {entry.file} cannot be read ({error.strerror}); restore it from a backup"
            return
        if not same:
            yield f"segment {entry.file} differs from its SHA-256; restore it from a backup"

    def _is_live(self, catalog: Catalog, entry: SegmentEntry) -> bool:
        """Compaction may have moved its rows and unlinked it meanwhile."""
        with self._reading(catalog) as connection:
            return entries(connection).get(entry.id) == entry

    @contextlib.contextmanager
    def _reading(self, catalog: Catalog) -> Iterator[sqlite3.Connection]:
        with catalog.reading() as connection, sqlite_errors(self._folder):
            yield connection

    def _advance(self, step: int) -> None:
        self.done += step
        self._progress(self.done, self._total)
