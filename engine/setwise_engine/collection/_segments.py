"""The mapped segments of a collection, and what of them was read ahead and checked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._blocks import SegmentBlocks
from setwise_engine.collection._rows import Rows
from setwise_engine.collection._segment import Segment, check_size
from setwise_engine.collection._types import SegmentEntry
from setwise_engine.collection._view import View, split
from setwise_engine.errors import NotFound

__all__ = ["Segments"]


class Segments:
    """The mapped segments of a collection, each mapped once and shared by all threads."""

    def __init__(self, folder: Path, *, collection: str, dims: int, coarse: int) -> None:
        self.folder = folder
        self.coarse_dims = coarse
        self._collection = collection
        self._dims = dims
        self._mapped: dict[int, Segment] = {}
        self._rows = Rows()
        self._blocks: SegmentBlocks | None = None
        self._lock = threading.Lock()

    def get(self, entry: SegmentEntry) -> Segment:
        """The segment, mapped at its first use. Raises CorruptError when it is not what the catalog says."""
        segment = self._mapped.get(entry.id)
        if segment is None:
            with self._lock:
                segment = self._mapped.get(entry.id)
                if segment is None:
                    segment = Segment(
                        self.folder, entry, collection=self._collection, dims=self._dims, coarse=self.coarse_dims
                    )
                    self._rows.add(entry.id, segment)
                    self._mapped[entry.id] = segment
        return segment

    def of(self, view: View, key: int) -> tuple[Segment, int]:
        """Segment and row of a key. Raises NotFound when the version has no such row."""
        number, row = split(key)
        entry = view.entries.get(number)
        if entry is None or row >= entry.rows:
            raise NotFound(f"version {view.version} has no image with key {key}")
        return self.get(entry), row

    def blocks(self, view: View) -> SegmentBlocks:
        """The view's segments for the matching; the same object for the same view."""
        blocks = self._blocks
        if blocks is None or blocks.view is not view:
            self._blocks = blocks = SegmentBlocks(self.get, view)
        return blocks

    def check_rows(self, view: View, keys: NDArray[np.int64], name: Callable[[int], str], *, gate: bool) -> None:
        """Raises CorruptError for a damaged row, calling its image as `name` gives it for the key."""

        def check(i: int) -> None:
            key = int(keys[i])
            segment, row = self.of(view, key)
            segment.check(row, lambda: name(key), gate=gate)

        self._rows.check(self._places(view, keys)[1], check, gate=gate)

    def read_ahead(self, view: View, keys: NDArray[np.int64], *, gate: bool) -> None:
        """Asks the kernel to read rows ahead; returns at once."""
        self._rows.read_ahead(*self._places(view, keys), gate=gate)

    def check_sizes(self, view: View, known: View | None) -> None:
        """Raises CorruptError when a file that the known view had not is missing or of another size."""
        for entry in view.entries.values():
            if known is None or known.entries.get(entry.id) != entry:
                check_size(self.folder, entry)

    def clear(self) -> None:
        """Forgets all mappings; the views that are in use keep theirs."""
        with self._lock:
            self._mapped.clear()
            self._rows = Rows()

    def _places(self, view: View, keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Segments of the keys, mapped now, and places in `Rows`."""
        numbers, rows = view.split(keys)
        for number in self._rows.missing(numbers):
            self.get(view.entries[number])
        return numbers, self._rows.places(numbers, rows)
