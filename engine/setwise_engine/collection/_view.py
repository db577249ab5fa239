"""What one version of the catalog says of the segments; shared by all snapshots of that version."""

from __future__ import annotations

import functools
import sqlite3
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._catalog import read_number
from setwise_engine.collection._types import SegmentEntry
from setwise_engine.errors import NotFound

__all__ = ["ROW_BITS", "View", "entries", "key_of", "read_view", "split"]

ROW_BITS = 32


def key_of(segment: int, row: int) -> int:
    """The key of a row."""
    return segment << ROW_BITS | row


def split(key: int) -> tuple[int, int]:
    """Segment and row of a key."""
    return key >> ROW_BITS, key & ((1 << ROW_BITS) - 1)


@dataclass(frozen=True, eq=False)
class View:
    """One version: its live segments, its number of live images, and the keys of dead rows in rising order."""

    version: int
    entries: dict[int, SegmentEntry]
    images: int
    dead: NDArray[np.int64]

    @functools.cached_property
    def live(self) -> NDArray[np.int64]:
        """Keys of all live rows, rising: the order in which they are stored. Read-only."""
        parts = [(entry.id << ROW_BITS) + np.arange(entry.rows, dtype=np.int64) for entry in self.entries.values()]
        keys = np.concatenate([np.zeros(0, np.int64), *parts])
        live = np.ones(len(keys), np.bool_)
        live[np.searchsorted(keys, self.dead)] = False
        keys = keys[live]
        keys.flags.writeable = False
        return keys

    @functools.cached_property
    def rows(self) -> NDArray[np.int64]:
        """Number of rows by segment number; 0 where there is no such segment."""
        rows = np.zeros(max(self.entries, default=0) + 1, np.int64)
        for entry in self.entries.values():
            rows[entry.id] = entry.rows
        return rows

    def split(self, keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Segments and rows of keys. Raises NotFound when this version has no such row."""
        numbers, rows = keys >> ROW_BITS, keys & ((1 << ROW_BITS) - 1)
        known = (numbers >= 0) & (numbers < len(self.rows))
        wrong = ~known | (rows >= self.rows[np.where(known, numbers, 0)])
        if wrong.any():
            raise NotFound(f"version {self.version} has no image with key {keys[wrong][0]}")
        return numbers, rows

    def is_live(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which keys are rows of this version that were not replaced or deleted."""
        numbers = keys >> ROW_BITS
        known = (numbers >= 0) & (numbers < len(self.rows))
        known &= (keys & ((1 << ROW_BITS) - 1)) < self.rows[np.where(known, numbers, 0)]
        return known & ~self.is_dead(keys)

    def is_dead(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which keys are dead rows."""
        if not self.dead.size:
            return np.zeros(keys.shape, np.bool_)
        dead: NDArray[np.bool_] = self.dead[np.searchsorted(self.dead[:-1], keys)] == keys
        return dead


def entries(connection: sqlite3.Connection) -> dict[int, SegmentEntry]:
    """The live segments by their numbers, in rising order."""
    rows = connection.execute(
        "SELECT id, file, rows, tokens, thumbnail_bytes, bytes, sha256 FROM segments WHERE state = 'live' ORDER BY id"
    )
    return {row[0]: SegmentEntry(*row) for row in rows}


def read_view(connection: sqlite3.Connection, known: View | None) -> View:
    """The view of the connection's read transaction; `known` itself when it is of the same version."""
    version = read_number(connection, "version")
    if known is not None and known.version == version:
        return known
    dead = connection.execute("SELECT key FROM dead ORDER BY key").fetchall()
    segments = entries(connection)
    # Every row is live or dead (`verify` counts them); counting the images would read a whole index.
    images = sum(entry.rows for entry in segments.values()) - len(dead)
    return View(version, segments, images, np.array(dead, np.int64).reshape(-1))
