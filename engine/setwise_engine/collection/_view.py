"""What one version of the catalog says of the segments; shared by all snapshots of that version."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._catalog import read_number
from setwise_engine.collection._segment import Segment
from setwise_engine.errors import CorruptError, NotFound

__all__ = ["ROW_BITS", "SegmentEntry", "Segments", "View", "entries", "key_of", "read_view", "split"]

ROW_BITS = 32


def key_of(segment: int, row: int) -> int:
    """The key of a row."""
    return segment << ROW_BITS | row


def split(key: int) -> tuple[int, int]:
    """Segment and row of a key."""
    return key >> ROW_BITS, key & ((1 << ROW_BITS) - 1)


class SegmentEntry(NamedTuple):
    """A segment as the catalog has it."""

    id: int
    file: str
    rows: int
    tokens: int
    thumbnail_bytes: int
    bytes: int
    sha256: str


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

    def __init__(self, folder: Path, *, dims: int, coarse: int) -> None:
        self.folder = folder
        self.coarse_dims = coarse
        self._dims = dims
        self._mapped: dict[int, Segment] = {}
        self._lock = threading.Lock()

    def get(self, entry: SegmentEntry) -> Segment:
        """The segment, mapped at its first use. Raises CorruptError when it is not what the catalog says."""
        segment = self._mapped.get(entry.id)
        if segment is not None:
            return segment
        with self._lock:
            segment = self._mapped.get(entry.id) or Segment(
                self.folder / entry.file,
                rows=entry.rows,
                tokens=entry.tokens,
                dims=self._dims,
                coarse=self.coarse_dims,
                bytes=entry.bytes,
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

    def check_sizes(self, entries: Iterable[SegmentEntry]) -> None:
        """Raises CorruptError when a file is missing or not of the size that the catalog says."""
        for entry in entries:
            if entry.id in self._mapped:
                continue
            path = self.folder / entry.file
            try:
                size = path.stat().st_size
            except FileNotFoundError:
                message = f"segment {entry.file} is missing from {self.folder}; restore it from a backup"
                raise CorruptError(message) from None
            if size != entry.bytes:
                message = f"segment {entry.file} has {size} bytes instead of {entry.bytes}; restore it from a backup"
                raise CorruptError(message)

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
    images = connection.execute("SELECT count(*) FROM images").fetchone()[0]
    dead = connection.execute("SELECT key FROM dead ORDER BY key").fetchall()
    return View(version, entries(connection), images, np.array(dead, np.int64).reshape(-1))
