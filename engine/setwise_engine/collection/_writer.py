"""All changes to a collection: under the writer lock, each one durable commit."""

from __future__ import annotations

import contextlib
import re
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from setwise_engine.coarse import Coarse
from setwise_engine.collection._catalog import Catalog
from setwise_engine.collection._changes import check_records, insert_images, insert_segment, kill_rows, update_images
from setwise_engine.collection._durable import Disk
from setwise_engine.collection._lock import WriterLock
from setwise_engine.collection._metadata import MetadataValue
from setwise_engine.collection._segment_writer import write_segment
from setwise_engine.collection._types import ImageRecord, Settings, Source
from setwise_engine.errors import LockedError

__all__ = ["SEGMENTS_FOLDER", "Writer"]

SEGMENTS_FOLDER = "segments"
_OURS = re.compile(r"\d{8,}-[0-9a-f]{8}\.safetensors(\.tmp)?")


class Writer:
    """Appends, deletes and updates. Every method that changes something returns the new version."""

    def __init__(
        self, folder: Path, catalog: Catalog, disk: Disk, *, uuid: str, settings: Settings, coarse: Coarse
    ) -> None:
        self.lock = WriterLock(folder)
        self.disk = disk
        self._folder = folder / SEGMENTS_FOLDER
        self._uuid = uuid
        self._settings = settings
        self._coarse = coarse
        self._catalog = catalog

    def append(self, records: Sequence[ImageRecord]) -> int:
        """Stores the records in a new segment; those whose ids exist replace them."""
        metadata = check_records(records, self._settings)
        self._folder.mkdir(exist_ok=True)
        with self._transaction() as (connection, version):
            self._sweep(connection)
            number = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM segments").fetchone()[0]
            # A name of its own each time: a reader may still have mapped what an unfinished commit left behind.
            path = self._folder / f"{number:08d}-{secrets.token_hex(4)}.safetensors"
            header = {"collection": self._uuid, "segment": str(number)}
            written = write_segment(path, records, self._coarse, header, self.disk, gate=self._settings.gate)
            insert_segment(connection, number, written)
            kill_rows(connection, [record.id for record in records], version)
            insert_images(connection, number, records, metadata)
        return version

    def delete(self, ids: Sequence[str]) -> int:
        """Deletes images by id; ids that are not there are left out."""
        with self._transaction() as (connection, version):
            kill_rows(connection, ids, version)
        return version

    def update(
        self, changes: Mapping[str, Mapping[str, MetadataValue]], sources: Mapping[str, Source] | None = None
    ) -> int:
        """Replaces metadata, and the sources that are given."""
        with self._transaction() as (connection, version):
            update_images(connection, changes, sources or {})
        return version

    def sweep(self) -> None:
        """Removes what unfinished commits have left behind, unless another writer is at work."""
        with (
            contextlib.suppress(LockedError, FileNotFoundError),
            self.lock.hold(wait_s=0),
            self._catalog.reading() as connection,
        ):
            self._sweep(connection)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[tuple[sqlite3.Connection, int]]:
        self.disk.check()
        with self.lock.hold(), self._catalog.writing(self.disk) as (connection, version):
            yield connection, version

    def _sweep(self, connection: sqlite3.Connection) -> None:
        """The caller holds the writer lock, so nobody is writing what the catalog does not know."""
        known = {row[0] for row in connection.execute("SELECT file FROM segments")}
        for path in self._folder.iterdir():
            if path.name not in known and _OURS.fullmatch(path.name):
                self.disk.remove(path)
