"""All changes to a collection: under the writer lock, each one durable commit."""

from __future__ import annotations

import contextlib
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from setwise_engine.coarse import Coarse
from setwise_engine.collection._catalog import Catalog, read_number
from setwise_engine.collection._change import Change, Put, Remove, Written
from setwise_engine.collection._changes import apply_plan, check_change, insert_images, insert_segment, read_stored
from setwise_engine.collection._durable import Disk
from setwise_engine.collection._lock import COMPACTION_LOCK_FILE, WriterLock
from setwise_engine.collection._plan import Plan, Ready, SetSource, change_id, make_plan
from setwise_engine.collection._schema import CATALOG_FILE, sqlite_errors
from setwise_engine.collection._segment_writer import Encoded, encode, write_segment
from setwise_engine.collection._types import Settings
from setwise_engine.errors import CollectionError, EngineError, LockedError, NotFound

__all__ = ["SEGMENTS_FOLDER", "Writer"]

SEGMENTS_FOLDER = "segments"
_RESERVED = "state != 'gone' AND state = 'reserved'"  # the first condition is that of an index
_OURS = re.compile(r"\d{8,}-[0-9a-f]{8}\.safetensors(\.tmp)?")


class Writer:
    """The one way in which what a collection holds is changed."""

    def __init__(
        self, folder: Path, catalog: Catalog, disk: Disk, *, uuid: str, settings: Settings, coarse: Coarse
    ) -> None:
        self.lock = WriterLock(folder, witness=folder / CATALOG_FILE)
        self.compaction_lock = WriterLock(folder, name=COMPACTION_LOCK_FILE, witness=folder / CATALOG_FILE)
        self.disk = disk
        self._folder = folder / SEGMENTS_FOLDER
        self._uuid = uuid
        self._settings = settings
        self._coarse = coarse
        self._catalog = catalog

    def write(
        self, changes: Sequence[Change | SetSource], *, all_or_none: bool = False, always_store: bool = False
    ) -> Written:
        """Makes the changes in one commit, which there is only when something changes.

        all_or_none: raise the first error instead of giving it in its place. always_store: see `make_plan`.
        """
        ready = [check_change(change, self._settings) for change in changes]
        ids = list({change_id(each.change) for each in ready if isinstance(each, Ready)})

        def plan_now(connection: sqlite3.Connection) -> Plan:
            plan = make_plan(ready, read_stored(connection, ids), always_store=always_store)
            if all_or_none:
                _raise_first(plan)
            return plan

        # Most of the work is done before the lock is taken; what others have changed meanwhile decides again under it.
        with self._catalog.reading() as connection, sqlite_errors(self._folder.parent):
            plan, version = plan_now(connection), read_number(connection, "version")
        if not plan:
            return Written(version, plan.results)
        rows = self._encode(changes, plan, {})
        with self.transaction() as (connection, version):
            plan = plan_now(connection)
            apply_plan(connection, plan, version)
            if plan.puts:
                rows = self._encode(changes, plan, rows)
                self._insert(connection, [rows[number] for number in plan.puts], list(plan.puts.values()))
        return Written(version if plan else version - 1, plan.results)

    def delete_found(self, find: Callable[[sqlite3.Connection], Sequence[str]]) -> Written:
        """Deletes the images whose ids `find` gives for the version that is being changed."""
        with self.transaction() as (connection, version):
            ids = find(connection)
            plan = make_plan([Ready(Remove(id)) for id in ids], read_stored(connection, ids))
            apply_plan(connection, plan, version)
        return Written(version if plan else version - 1, plan.results)

    @contextlib.contextmanager
    def transaction(
        self, *, wait_s: float | None = None, counted: bool = True
    ) -> Iterator[tuple[sqlite3.Connection, int]]:
        """The lock and a write transaction: see `Catalog.writing`."""
        with self.lock.hold(wait_s=wait_s), self.writing(counted=counted) as (connection, version):
            yield connection, version

    @contextlib.contextmanager
    def writing(self, *, counted: bool = True) -> Iterator[tuple[sqlite3.Connection, int]]:
        """A write transaction for a caller who holds the lock."""
        self.disk.check()
        with self._catalog.writing(self.disk, counted=counted) as (connection, version):
            yield connection, version

    def owner(self, number: int) -> dict[str, str]:
        """What a segment's header says of whose it is."""
        return {"collection": self._uuid, "segment": str(number)}

    def reserve(self, connection: sqlite3.Connection, rows: int) -> tuple[int, Path]:
        """A number and a file for a segment of some rows that a later transaction puts in; no writer removes it."""
        number, path = self._next(connection)
        connection.execute("INSERT INTO segments VALUES (?, ?, 'reserved', ?, 0, 0, 0, '')", (number, path.name, rows))
        return number, path

    def forget_reserved(self) -> None:
        """Gives up what was reserved, if anything, and removes the files. The caller holds the compaction lock."""
        if not self._has_reserved():
            return
        with self.lock.hold():
            with self.writing(counted=False) as (connection, _):
                connection.execute(f"UPDATE segments SET state = 'gone' WHERE {_RESERVED}")
            with self._catalog.reading() as connection:
                self._sweep(connection)

    def remove(self, files: Sequence[str]) -> None:
        """Removes segments that no version names any more. The caller holds the lock."""
        for file in files:
            self.disk.remove(self._folder / file)

    def sweep(self) -> None:
        """Removes what unfinished commits and compactions have left behind, unless another writer is at work."""
        with contextlib.suppress(CollectionError, NotFound):
            with self._catalog.reading() as connection:
                left = connection.execute(
                    "SELECT 1 FROM segments WHERE state != 'gone' AND state = 'reserved'"
                ).fetchone()
            if left:
                with self.compaction_lock.hold(wait_s=0):
                    self.forget_reserved()
        with (
            contextlib.suppress(LockedError, NotFound, FileNotFoundError),
            self.lock.hold(wait_s=0),
            self._catalog.reading() as connection,
        ):
            self._sweep(connection)

    def _has_reserved(self) -> bool:
        with self._catalog.reading() as connection:
            return connection.execute(f"SELECT 1 FROM segments WHERE {_RESERVED}").fetchone() is not None

    def _encode(self, changes: Sequence[object], plan: Plan, known: dict[int, Encoded]) -> dict[int, Encoded]:
        """The rows that the plan stores, by the numbers of their changes; those that are known are taken."""
        missing = [number for number in plan.puts if number not in known]
        puts = [change for number in missing if isinstance(change := changes[number], Put)]
        made = encode([put.record for put in puts], self._coarse, gate=self._settings.gate)
        return known | dict(zip(missing, made, strict=True))

    def _insert(self, connection: sqlite3.Connection, rows: Sequence[Encoded], metadata: Sequence[str]) -> None:
        """Stores the rows in a new segment."""
        self._folder.mkdir(exist_ok=True)
        self._sweep(connection)
        number, path = self._next(connection)
        written = write_segment(path, rows, self.owner(number), self.disk)
        insert_segment(connection, number, written)
        insert_images(connection, number, [row.record for row in rows], metadata)

    def _next(self, connection: sqlite3.Connection) -> tuple[int, Path]:
        number = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM segments").fetchone()[0]
        # A name of its own each time: a reader may still have mapped what an unfinished commit left behind.
        return number, self._folder / f"{number:08d}-{secrets.token_hex(4)}.safetensors"

    def _sweep(self, connection: sqlite3.Connection) -> None:
        """The caller holds the writer lock, so nobody is writing what the catalog does not know."""
        known = {row[0] for row in connection.execute("SELECT file FROM segments WHERE state != 'gone'")}
        for path in self._folder.iterdir():
            if path.name.removesuffix(".tmp") not in known and _OURS.fullmatch(path.name):
                self.disk.remove(path)


def _raise_first(plan: Plan) -> None:
    for result in plan.results:
        if isinstance(result, EngineError):
            raise result
