"""The rows of all mapped segments as arrays, so that a search over a thousand of them asks and checks all at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._mapping import read_ranges_ahead
from setwise_engine.collection._segment import Segment

__all__ = ["Rows"]

_Numbers = NDArray[np.int64]
_UNKNOWN = -1
_TOKENS, _GATE = slice(0, 1), slice(1, None)  # of a segment's parts
_PARTS = 7
_PER_ROW = 1  # the last parts have one entry a row (the gate's centres), the others one a token


class Rows:
    """Where the rows of the mapped segments lie, and which of them were found to be undamaged.

    A row has a place, counted over all segments in the order in which they were mapped. What is known is only ever
    added, under a lock; arrays that must grow are replaced, so readers need none. A mark that is lost in a replaced
    array costs one more check.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first = np.zeros(0, np.int64)  # by segment number: place of its first row, or _UNKNOWN
        self._addresses = np.zeros((_PARTS, 0), np.int64)  # by segment number; 0 where there is no gate
        self._widths = np.zeros((_PARTS, 1), np.int64)  # bytes of one entry, the same in all segments
        self._spans = np.zeros((2, 0), np.int64)  # by place: first token and the one after the last
        self._numbers = np.zeros(0, np.int64)  # by place: row within its segment
        self._seen = np.zeros((2, 0), np.bool_)  # by place: tokens, gate
        self._used = 0

    def add(self, number: int, segment: Segment) -> None:
        """A segment was mapped."""
        with self._lock:
            first, last = self._used, self._used + segment.rows
            self._reserve(number + 1, last)
            self._spans[0, first:last], self._spans[1, first:last] = segment.offsets[:-1], segment.offsets[1:]
            self._numbers[first:last] = np.arange(segment.rows)
            for part, array in enumerate(segment.parts()):
                self._addresses[part, number] = array.ctypes.data
                self._widths[part] = array.strides[0]
            self._first[number] = first
            self._used = last

    def missing(self, numbers: _Numbers) -> list[int]:
        """Which of the segments are not yet known."""
        first = self._first
        if not numbers.size or (numbers.max() < len(first) and first[numbers].min() >= 0):
            return []
        return [n for n in np.unique(numbers).tolist() if n >= len(first) or first[n] < 0]

    def places(self, numbers: _Numbers, rows: _Numbers) -> _Numbers:
        """Places of rows of known segments."""
        places: _Numbers = self._first[numbers] + rows
        return places

    def check(self, places: _Numbers, check: Callable[[int], None], *, gate: bool) -> None:
        """Calls `check` with the index of each row that was not checked before, and remembers those that passed."""
        seen = self._seen[int(gate)]
        new = np.flatnonzero(~seen[places])
        for i, place in zip(new.tolist(), places[new].tolist(), strict=True):
            if not seen[place]:
                check(i)
                seen[place] = True

    def read_ahead(self, numbers: _Numbers, places: _Numbers, *, gate: bool) -> None:
        """Asks the kernel to read rows ahead: tokens, or the gate (tokens where a segment has none)."""
        if not gate:
            self._read_ahead(numbers, places, _TOKENS)
            return
        has = self._addresses[1, numbers] != 0
        self._read_ahead(numbers[has], places[has], _GATE)
        if not has.all():
            self._read_ahead(numbers[~has], places[~has], _TOKENS)

    def _read_ahead(self, numbers: _Numbers, places: _Numbers, parts: slice) -> None:
        if not places.size:
            return
        first, last = (np.repeat(span[None, places], _PARTS, axis=0) for span in self._spans)
        rows = self._numbers[places]
        first[-_PER_ROW:], last[-_PER_ROW:] = rows, rows + 1
        base, width = self._addresses[parts, numbers], self._widths[parts]
        starts, ends = base + first[parts] * width, base + last[parts] * width
        owners = np.broadcast_to(numbers, starts.shape)
        read_ranges_ahead(starts.reshape(-1), ends.reshape(-1), owners.reshape(-1))

    def _reserve(self, segments: int, rows: int) -> None:
        """Room for so many segment numbers and rows, twice as much as before where it must grow."""
        more = max(segments, 2 * len(self._first)) - len(self._first)
        if segments > len(self._first):
            self._first = np.pad(self._first, (0, more), constant_values=_UNKNOWN)
            self._addresses = np.pad(self._addresses, ((0, 0), (0, more)))
        if rows > len(self._numbers):
            more = max(rows, 2 * len(self._numbers)) - len(self._numbers)
            self._spans = np.pad(self._spans, ((0, 0), (0, more)))
            self._numbers = np.pad(self._numbers, (0, more))
            self._seen = np.pad(self._seen, ((0, 0), (0, more)))
