"""The mapped segments of a collection, and what of them was read ahead and checked."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._blocks import SegmentBlocks
from setwise_engine.collection._rows import Rows
from setwise_engine.collection._segment import Segment
from setwise_engine.collection._types import SegmentEntry
from setwise_engine.collection._view import View, split
from setwise_engine.errors import NotFound

__all__ = ["Segments"]


class Segments:
    """The mapped segments of a collection, each mapped once and shared by all threads.

    Views own them: a segment that no view names any more is unmapped, whether its file is still there or not.
    """

    def __init__(self, folder: Path, *, collection: str, dims: int, coarse: int) -> None:
        self.folder = folder
        self.coarse_dims = coarse
        self._collection = collection
        self._dims = dims
        self._mapped: weakref.WeakValueDictionary[int, Segment] = weakref.WeakValueDictionary()
        self._rows = Rows()
        self._blocks: SegmentBlocks | None = None
        self._lock = threading.Lock()

    def map(self, entries: Mapping[int, SegmentEntry]) -> dict[int, Segment]:
        """The segments by their numbers, those mapped that are not yet.

        Raises CorruptError when one is not what the catalog says, also when its file is missing.
        """
        with self._lock:
            segments = {number: self._map(entry) for number, entry in entries.items()}
            self._rows.hold(self._mapped)
        return segments

    def of(self, view: View, key: int) -> tuple[Segment, int]:
        """Segment and row of a key. Raises NotFound when the version has no such row."""
        number, row = split(key)
        segment = view.segments.get(number)
        if segment is None or row >= segment.rows:
            raise NotFound(f"version {view.version} has no image with key {key}")
        return segment, row

    def blocks(self, view: View) -> SegmentBlocks:
        """The view's segments for the matching; the same object for the same view."""
        blocks = self._blocks
        if blocks is None or blocks.view is not view:
            self._blocks = blocks = SegmentBlocks(view)
        return blocks

    def check_rows(self, view: View, keys: NDArray[np.int64], name: Callable[[int], str], *, gate: bool) -> None:
        """Raises CorruptError for a damaged row, calling its image as `name` gives it for the key."""

        def check(i: int) -> None:
            key = int(keys[i])
            segment, row = self.of(view, key)
            segment.check(row, lambda: name(key), gate=gate)

        self._rows.check(view.segments, *view.split(keys), check, gate=gate)

    def read_ahead(self, view: View, keys: NDArray[np.int64], *, gate: bool) -> None:
        """Asks the kernel to read rows ahead; returns at once."""
        self._rows.read_ahead(view.segments, *view.split(keys), gate=gate)

    def clear(self) -> None:
        """Forgets all mappings; the views that are in use keep theirs."""
        with self._lock:
            self._mapped.clear()
            self._rows = Rows()
            self._blocks = None

    def _map(self, entry: SegmentEntry) -> Segment:
        segment = self._mapped.get(entry.id)
        if segment is None or segment.file != entry.file:
            segment = Segment(self.folder, entry, collection=self._collection, dims=self._dims, coarse=self.coarse_dims)
            self._mapped[entry.id] = segment
        return segment
