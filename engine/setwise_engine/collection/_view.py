"""What one version of the catalog says of the segments; shared by all snapshots of that version."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._catalog import read_number
from setwise_engine.collection._history import History, read_history
from setwise_engine.collection._schema import read_format
from setwise_engine.collection._segment import Segment
from setwise_engine.collection._types import SegmentEntry
from setwise_engine.errors import NotFound

__all__ = ["ROW_BITS", "View", "entries", "key_of", "read_view", "split"]

ROW_BITS = 32
_ROW = (1 << ROW_BITS) - 1

Keys = NDArray[np.int64]


def key_of(segment: int, row: int) -> int:
    """The key of a row."""
    return segment << ROW_BITS | row


def split(key: int) -> tuple[int, int]:
    """Segment and row of a key."""
    return key >> ROW_BITS, key & _ROW


@dataclass(frozen=True, eq=False)
class View:
    """One version: its live segments, all mapped, its number of live images, and the keys of dead rows, rising.

    entries, segments: by number, rising. A view holds its segments, so that what it names can be read for as long as
    it is there, even when a later version has removed the files. history: the file of every segment that ever was,
    gone ones too, and perhaps of some that came later. format: the catalog's version.
    """

    version: int
    format: int
    entries: Mapping[int, SegmentEntry]
    segments: Mapping[int, Segment]
    images: int
    dead: Keys
    history: History

    @functools.cached_property
    def live(self) -> Keys:
        """Keys of all live rows, rising. Read-only."""
        return self._of_live(lambda number, entry: (number << ROW_BITS) + np.arange(entry.rows, dtype=np.int64))

    @functools.cached_property
    def live_births(self) -> Keys:
        """The births of `live`, in its order: `live` itself when nothing was ever moved. Read-only."""
        if all(segment.births is None for segment in self.segments.values()):
            return self.live
        return self._of_live(self._births)

    @functools.cached_property
    def numbers(self) -> Keys:
        """Numbers of the live segments, rising."""
        return np.fromiter(self.entries, np.int64, len(self.entries))

    @functools.cached_property
    def rows(self) -> Keys:
        """Rows of the segments, in the order of `numbers`."""
        return np.fromiter((entry.rows for entry in self.entries.values()), np.int64, len(self.entries))

    def positions(self, births: Keys) -> NDArray[np.intp]:
        """Where in `live` the rows of these births are. Raises NotFound when this version has no such image."""
        order = self._birth_order
        known = self.live_births if order is None else self.live_births[order]
        found = np.searchsorted(known, births)
        wrong = found == len(known)
        wrong[~wrong] = known[found[~wrong]] != births[~wrong]
        if wrong.any():
            raise NotFound(f"version {self.version} has no image that was born as {births[wrong][0]}")
        return found if order is None else order[found]

    def split(self, keys: Keys) -> tuple[Keys, Keys]:
        """Segments and rows of keys. Raises NotFound when this version has no such row."""
        wrong = ~self._has(keys)
        if wrong.any():
            raise NotFound(f"version {self.version} has no image with key {keys[wrong][0]}")
        return keys >> ROW_BITS, keys & _ROW

    def is_live(self, keys: Keys) -> NDArray[np.bool_]:
        """Which keys are rows of this version that were not replaced or deleted."""
        return self._has(keys) & ~self.is_dead(keys)

    def is_dead(self, keys: Keys) -> NDArray[np.bool_]:
        """Which keys are dead rows."""
        if not self.dead.size:
            return np.zeros(keys.shape, np.bool_)
        dead: NDArray[np.bool_] = self.dead[np.searchsorted(self.dead[:-1], keys)] == keys
        return dead

    def _has(self, keys: Keys) -> NDArray[np.bool_]:
        if not self.entries:
            return np.zeros(keys.shape, np.bool_)
        numbers = keys >> ROW_BITS
        places = np.searchsorted(self.numbers[:-1], numbers)
        has: NDArray[np.bool_] = (self.numbers[places] == numbers) & ((keys & _ROW) < self.rows[places])
        return has

    def _births(self, number: int, entry: SegmentEntry) -> Keys:
        births = self.segments[number].births
        return (number << ROW_BITS) + np.arange(entry.rows, dtype=np.int64) if births is None else births

    @functools.cached_property
    def _birth_order(self) -> NDArray[np.intp] | None:
        """What puts `live_births` in rising order; None where they rise already."""
        births = self.live_births
        if births is self.live or (np.diff(births) > 0).all():
            return None
        return np.argsort(births)

    def _of_live(self, of: Callable[[int, SegmentEntry], Keys]) -> Keys:
        parts = [of(number, entry) for number, entry in self.entries.items()]
        values = np.concatenate([np.zeros(0, np.int64), *parts])
        if self.dead.size:
            values = np.delete(values, self._dead_places())
        values.flags.writeable = False
        return values

    def _dead_places(self) -> Keys:
        """Where the dead rows are among all rows, counted in the order of the segments."""
        first = np.cumsum(self.rows) - self.rows
        places: Keys = first[np.searchsorted(self.numbers, self.dead >> ROW_BITS)] + (self.dead & _ROW)
        return places


def entries(connection: sqlite3.Connection) -> dict[int, SegmentEntry]:
    """The live segments by their numbers, in rising order."""
    columns = "id, file, rows, tokens, thumbnail_bytes, bytes, sha256"
    # The first condition is that of an index, which passes over what has gone.
    rows = connection.execute(f"SELECT {columns} FROM segments WHERE state != 'gone' AND state = 'live' ORDER BY id")
    return {row[0]: SegmentEntry(*row) for row in rows}


def read_view(
    connection: sqlite3.Connection,
    known: View | None,
    mapped: Callable[[Mapping[int, SegmentEntry]], Mapping[int, Segment]],
) -> View:
    """The view of the connection's read transaction; `known` itself when it is of the same version.

    mapped: maps segments, and raises when a file is missing or not what the catalog says.
    """
    version = read_number(connection, "version")
    if known is not None and known.version == version:
        return known
    later = None
    if known is not None and known.version > version:
        known, later = None, known  # another thread's transaction began later
    live = entries(connection)
    dead = _dead(connection, live, known)
    # Every row is live or dead (`verify` counts them); counting the images would read a whole index.
    images = sum(entry.rows for entry in live.values()) - len(dead)
    # A history only grows: that of a later version does as well, and a long one takes seconds to read.
    history = later.history if later else read_history(connection, known.history if known else None)
    return View(version, read_format(connection), live, mapped(live), images, dead, history)


def _dead(connection: sqlite3.Connection, live: Mapping[int, SegmentEntry], known: View | None) -> Keys:
    """Keys of dead rows, rising. Once dead, a row stays so until its segment is gone: only new ones are read."""
    if known is None:
        rows = connection.execute("SELECT key FROM dead ORDER BY key").fetchall()
        return np.array(rows, np.int64).reshape(-1)
    newer = connection.execute("SELECT key FROM dead WHERE version > ?", (known.version,)).fetchall()
    here = np.isin(known.dead >> ROW_BITS, np.fromiter(live, np.int64, len(live)))
    return np.sort(np.concatenate([known.dead[here], np.array(newer, np.int64).reshape(-1)]))
