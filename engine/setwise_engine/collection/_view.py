"""What one version of the catalog says of the segments; shared by all snapshots of that version."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._catalog import read_number
from setwise_engine.collection._segment import Segment, check_size
from setwise_engine.collection._types import SegmentEntry
from setwise_engine.errors import NotFound

__all__ = ["ROW_BITS", "Segments", "View", "entries", "key_of", "read_view", "split"]

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

    def is_live(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which keys are rows of this version that were not replaced or deleted."""
        rows = np.array([self._rows(int(segment)) for segment in keys >> ROW_BITS], np.int64)
        known = (keys & ((1 << ROW_BITS) - 1)) < rows
        return known & ~self.is_dead(keys)

    def is_dead(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which keys are dead rows."""
        if not self.dead.size:
            return np.zeros(keys.shape, np.bool_)
        dead: NDArray[np.bool_] = self.dead[np.searchsorted(self.dead[:-1], keys)] == keys
        return dead

    def _rows(self, segment: int) -> int:
        entry = self.entries.get(segment)
        return entry.rows if entry else 0


class Segments:
    """The mapped segments of a collection, each mapped once and shared by all threads."""

    def __init__(self, folder: Path, *, collection: str, dims: int, coarse: int) -> None:
        self.folder = folder
        self.coarse_dims = coarse
        self._collection = collection
        self._dims = dims
        self._mapped: dict[int, Segment] = {}
        self._lock = threading.Lock()

    def get(self, entry: SegmentEntry) -> Segment:
        """The segment, mapped at its first use. Raises CorruptError when it is not what the catalog says."""
        segment = self._mapped.get(entry.id)
        if segment is None:
            with self._lock:
                segment = self._mapped.get(entry.id) or Segment(
                    self.folder, entry, collection=self._collection, dims=self._dims, coarse=self.coarse_dims
                )
                self._mapped[entry.id] = segment
        return segment

    def of(self, view: View, key: int) -> tuple[Segment, int]:
        """Segment and row of a key. Raises NotFound when the version has no such row."""
        number, row = split(key)
        entry = view.entries.get(number)
        if entry is None or row >= entry.rows:
            raise NotFound(f"version {view.version} has no image with key {key}")
        return self.get(entry), row

    def check_sizes(self, view: View, known: View | None) -> None:
        """Raises CorruptError when a file that the known view had not is missing or of another size."""
        for entry in view.entries.values():
            if known is None or known.entries.get(entry.id) != entry:
                check_size(self.folder, entry)

    def clear(self) -> None:
        """Forgets all mappings; the views that are in use keep theirs."""
        with self._lock:
            self._mapped.clear()


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
