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
from setwise_engine.collection._lock import WriterLock
from setwise_engine.collection._plan import Plan, Ready, SetSource, change_id, make_plan
from setwise_engine.collection._schema import sqlite_errors
from setwise_engine.collection._segment_writer import Encoded, encode, write_segment
from setwise_engine.collection._types import Settings
from setwise_engine.errors import EngineError, LockedError

__all__ = ["SEGMENTS_FOLDER", "Writer"]

SEGMENTS_FOLDER = "segments"
_OURS = re.compile(r"\d{8,}-[0-9a-f]{8}\.safetensors(\.tmp)?")


class Writer:
    """The one way in which what a collection holds is changed."""

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
    def transaction(self) -> Iterator[tuple[sqlite3.Connection, int]]:
        """The lock and a write transaction: see `Catalog.writing`."""
        self.disk.check()
        with self.lock.hold(), self._catalog.writing(self.disk) as (connection, version):
            yield connection, version

    def sweep(self) -> None:
        """Removes what unfinished commits have left behind, unless another writer is at work."""
        with (
            contextlib.suppress(LockedError, FileNotFoundError),
            self.lock.hold(wait_s=0),
            self._catalog.reading() as connection,
        ):
            self._sweep(connection)

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
        number = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM segments").fetchone()[0]
        # A name of its own each time: a reader may still have mapped what an unfinished commit left behind.
        path = self._folder / f"{number:08d}-{secrets.token_hex(4)}.safetensors"
        written = write_segment(path, rows, {"collection": self._uuid, "segment": str(number)}, self.disk)
        insert_segment(connection, number, written)
        insert_images(connection, number, [row.record for row in rows], metadata)

    def _sweep(self, connection: sqlite3.Connection) -> None:
        """The caller holds the writer lock, so nobody is writing what the catalog does not know."""
        known = {row[0] for row in connection.execute("SELECT file FROM segments WHERE state = 'live'")}
        for path in self._folder.iterdir():
            if path.name not in known and _OURS.fullmatch(path.name):
                self.disk.remove(path)


def _raise_first(plan: Plan) -> None:
    for result in plan.results:
        if isinstance(result, EngineError):
            raise result
