"""Reads every byte of a collection and names whatever is not what was written; changes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from setwise_engine.coarse import Coarse
from setwise_engine.collection._catalog import Catalog, read_number, read_settings, read_text
from setwise_engine.collection._encoder_file import load_encoder
from setwise_engine.collection._index import INDEX_FOLDER, read_sidecar
from setwise_engine.collection._place import existing_folder, is_writable
from setwise_engine.collection._schema import sqlite_errors
from setwise_engine.collection._segment import Segment
from setwise_engine.collection._segment_problems import count_rows, row_problems
from setwise_engine.collection._types import SegmentEntry, VerifyReport
from setwise_engine.collection._view import entries
from setwise_engine.collection._writer import SEGMENTS_FOLDER
from setwise_engine.errors import CollectionError, CorruptError

__all__ = ["verify_folder"]

_STEP = 1 << 22
_REMEDY = "run `setwise index` again to make a new one"
Progress = Callable[[int, int], None]


def verify_folder(path: str | Path, progress: Progress | None = None, *, recompute: bool = False) -> VerifyReport:
    """Verifies the collection in a folder, also one that is too damaged to be opened.

    progress: called with the bytes done and the bytes in all. recompute: besides comparing each int8 gate with its
    checksum, hold it against the tokens. Raises NotFound and FormatError when there is no
    collection of a known version; everything else is a problem in the report.
    """
    folder = existing_folder(path)
    run = _Run(folder, progress or (lambda done, total: None), recompute=recompute)
    try:
        catalog = contextlib.closing(Catalog(folder, writable=is_writable(folder)))
        with catalog as opened, opened.reading() as connection, sqlite_errors(folder):
            run.all(connection)
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

    def all(self, connection: sqlite3.Connection) -> None:
        """Catalog first, then what it refers to."""
        self.problems += _catalog_problems(connection)
        read_number(connection, "version")  # raises when it is gone
        segments = entries(connection)
        self._total = sum(entry.bytes for entry in segments.values())
        uuid = read_text(connection, "uuid")
        try:
            settings = read_settings(connection)
            encoder = load_encoder(self._folder, settings)
        except CollectionError as error:
            self.problems.append(str(error))
            # What the segments should look like is unknown now; whether their bytes are those written is not.
            for entry in segments.values():
                self._bytes(entry)
        else:
            coarse = Coarse(settings.coarse, encoder.coarse_basis).dims
            for entry in segments.values():
                self._segment(connection, entry, uuid, settings.dims, coarse)
        self.problems += _index_problems(self._folder, uuid)

    def _segment(self, connection: sqlite3.Connection, entry: SegmentEntry, uuid: str, dims: int, coarse: int) -> None:
        before = len(self.problems)
        try:
            segment = Segment(self._folder / SEGMENTS_FOLDER, entry, collection=uuid, dims=dims, coarse=coarse)
        except CollectionError as error:
            self.problems.append(str(error))
            return
        self.images += count_rows(connection, entry)
        self.problems += row_problems(connection, entry, segment, recompute=self._recompute)
        if len(self.problems) == before:
            self._bytes(entry)

    def _bytes(self, entry: SegmentEntry) -> None:
        try:
            same = _sha256(self._folder / SEGMENTS_FOLDER / entry.file, self._advance) == entry.sha256
        except OSError as error:
            self.problems.append(f"segment {entry.file} cannot be read ({error.strerror}); restore it from a backup")
            return
        if not same:
            self.problems.append(f"segment {entry.file} differs from its SHA-256; restore it from a backup")

    def _advance(self, step: int) -> None:
        self.done += step
        self._progress(self.done, self._total)


def _catalog_problems(connection: sqlite3.Connection) -> Iterator[str]:
    for (line,) in connection.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield f"the catalog is damaged: {line}"
    for table in ("images", "dead"):
        orphans = f"SELECT count(*) FROM {table} WHERE key >> 32 NOT IN (SELECT id FROM segments)"
        if count := connection.execute(orphans).fetchone()[0]:
            yield f"{count} rows of the catalog's table {table!r} name a segment that does not exist"
    if count := connection.execute("SELECT count(*) FROM images JOIN dead USING (key)").fetchone()[0]:
        yield f"{count} images are both live and dead in the catalog"
    counted = (
        "SELECT s.file, s.rows, (SELECT count(*) FROM images WHERE key >> 32 = s.id)"
        " + (SELECT count(*) FROM dead WHERE key >> 32 = s.id) AS n FROM segments s WHERE n != s.rows"
    )
    for file, rows, found in connection.execute(counted):
        yield f"segment {file} has {rows} rows, the catalog knows {found} of them"


def _index_problems(folder: Path, uuid: str) -> list[str]:
    """The index is derived and may be absent; one that is there must be whole."""
    try:
        sidecar = read_sidecar(folder)
        if sidecar is None:
            return []
        if sidecar.collection != uuid:
            return [f"the index in {folder / INDEX_FOLDER} belongs to another collection; {_REMEDY}"]
        try:
            same = _sha256(folder / INDEX_FOLDER / sidecar.file) == sidecar.sha256
        except FileNotFoundError:
            if read_sidecar(folder) != sidecar:  # a writer has put another in its place meanwhile
                return _index_problems(folder, uuid)
            raise
        return [] if same else [f"index {sidecar.file} differs from its SHA-256; {_REMEDY}"]
    except (OSError, ValueError) as error:
        return [f"the index cannot be read ({error}); {_REMEDY}"]


def _sha256(path: Path, advance: Callable[[int], None] = lambda step: None) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_STEP):
            digest.update(chunk)
            advance(len(chunk))
    return digest.hexdigest()
