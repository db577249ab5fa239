"""The rows of all mapped segments as arrays, so that a search over a thousand of them asks and checks all at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._mapping import read_ranges_ahead
from setwise_engine.collection._segment import Segment

__all__ = ["Rows"]

_Numbers = NDArray[np.int64]
_TOKENS, _GATE = slice(0, 1), slice(1, None)  # of a segment's parts
_PARTS = 7
_PER_ROW = 1  # the last parts have one entry a row (the gate's centres), the others one a token


@dataclass(frozen=True, eq=False)
class _Table:
    """Where the rows of some segments lie. A row has a place, counted over the segments in the order of their numbers.

    Arrays are larger than what is used of them (`segments`, `rows`), and shared with the tables that grew from this.
    """

    segments: int
    rows: int
    owners: _Numbers  # by slot: number of the segment, rising
    first: _Numbers  # by slot: place of its first row
    addresses: _Numbers  # (parts, slots); 0 where there is no gate
    widths: _Numbers  # (parts, 1): bytes of one entry, the same in all segments
    spans: _Numbers  # (2, places): first token and the one after the last
    numbers: _Numbers  # by place: row within its segment
    seen: NDArray[np.bool_]  # (2, places): tokens, gate

    def slots(self, numbers: _Numbers) -> _Numbers | None:
        """Slots of segments; None when one of them is not here."""
        if not numbers.size:
            return numbers
        owners = self.owners[: self.segments]
        slots: _Numbers = np.searchsorted(owners[:-1], numbers)
        return slots if self.segments and (owners[slots] == numbers).all() else None

    def grown(self, segments: Mapping[int, Segment]) -> _Table:
        """This table and more segments, given by rising numbers that are above all here."""
        rows = self.rows + sum(segment.rows for segment in segments.values())
        table = self._reserved(self.segments + len(segments), rows)
        last = self.rows
        for slot, (number, segment) in enumerate(segments.items(), self.segments):
            first, last = last, last + segment.rows
            table.spans[0, first:last], table.spans[1, first:last] = segment.offsets[:-1], segment.offsets[1:]
            table.numbers[first:last] = np.arange(segment.rows)
            table.seen[:, first:last] = False
            table.addresses[:, slot] = 0
            for part, array in enumerate(segment.parts()):
                table.addresses[part, slot] = array.ctypes.data
                table.widths[part] = array.strides[0]
            table.owners[slot], table.first[slot] = number, first
        return table

    def _reserved(self, segments: int, rows: int) -> _Table:
        """Of so many segments and rows, with room for twice as many where it must grow."""
        slots, places = self.addresses.shape[1], len(self.numbers)
        more = max(segments, 2 * slots) - slots if segments > slots else 0
        extra = max(rows, 2 * places) - places if rows > places else 0
        return _Table(
            segments,
            rows,
            owners=np.pad(self.owners, (0, more)) if more else self.owners,
            first=np.pad(self.first, (0, more)) if more else self.first,
            addresses=np.pad(self.addresses, ((0, 0), (0, more))) if more else self.addresses,
            widths=self.widths,
            spans=np.pad(self.spans, ((0, 0), (0, extra))) if extra else self.spans,
            numbers=np.pad(self.numbers, (0, extra)) if extra else self.numbers,
            seen=np.pad(self.seen, ((0, 0), (0, extra))) if extra else self.seen,
        )


def _empty() -> _Table:
    nothing = np.zeros(0, np.int64)
    return _Table(
        *(0, 0, nothing, nothing, np.zeros((_PARTS, 0), np.int64), np.zeros((_PARTS, 1), np.int64)),
        *(np.zeros((2, 0), np.int64), nothing, np.zeros((2, 0), np.bool_)),
    )


class Rows:
    """Where the rows of the mapped segments lie, and which of them were found to be undamaged.

    Tables are replaced under a lock, never changed where somebody may read, so readers need none: each call works with
    the table that it began with. A mark that is lost in a replaced table costs one more check.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._table = _empty()

    def hold(self, segments: Mapping[int, Segment]) -> None:
        """Makes these segments known; forgets others once they have more than half of all rows."""
        with self._lock:
            table = self._table
            here = dict(sorted(segments.items()))
            owners = set(table.owners[: table.segments].tolist())
            new = {number: segment for number, segment in here.items() if number not in owners}
            last = max(owners, default=0)
            rows = sum(segment.rows for segment in here.values())
            if 2 * rows < table.rows or any(number < last for number in new):
                self._table = self._moved(table, here)
            elif new:
                self._table = table.grown(new)

    def check(
        self,
        segments: Mapping[int, Segment],
        numbers: _Numbers,
        rows: _Numbers,
        check: Callable[[int], None],
        *,
        gate: bool,
    ) -> None:
        """Calls `check` with the index of each row that was not checked before, and remembers those that passed.

        segments: what the numbers are numbers of.
        """
        table, slots = self._find(segments, numbers)
        places = table.first[slots] + rows
        seen = table.seen[int(gate)]
        new = np.flatnonzero(~seen[places])
        for i, place in zip(new.tolist(), places[new].tolist(), strict=True):
            if not seen[place]:
                check(i)
                seen[place] = True

    def read_ahead(self, segments: Mapping[int, Segment], numbers: _Numbers, rows: _Numbers, *, gate: bool) -> None:
        """Asks the kernel to read rows ahead: tokens, or the gate (tokens where a segment has none)."""
        table, slots = self._find(segments, numbers)
        places = table.first[slots] + rows
        if not gate:
            _read_ahead(table, slots, places, _TOKENS)
            return
        has = table.addresses[1, slots] != 0
        _read_ahead(table, slots[has], places[has], _GATE)
        if not has.all():
            _read_ahead(table, slots[~has], places[~has], _TOKENS)

    def _find(self, segments: Mapping[int, Segment], numbers: _Numbers) -> tuple[_Table, _Numbers]:
        """A table that has these segments, and their slots."""
        slots = (table := self._table).slots(numbers)
        while slots is None:  # the collection was closed meanwhile and has forgotten them
            self.hold(segments)
            slots = (table := self._table).slots(numbers)
        return table, slots

    @staticmethod
    def _moved(table: _Table, segments: Mapping[int, Segment]) -> _Table:
        """A table of exactly these segments; what was checked stays so."""
        moved = _empty().grown(segments)
        for slot in range(moved.segments):
            owner = moved.owners[slot : slot + 1]
            before = table.slots(owner)
            if before is not None:
                rows = segments[int(owner[0])].rows
                here, there = int(moved.first[slot]), int(table.first[before[0]])
                moved.seen[:, here : here + rows] = table.seen[:, there : there + rows]
        return moved


def _read_ahead(table: _Table, slots: _Numbers, places: _Numbers, parts: slice) -> None:
    if not places.size:
        return
    first: _Numbers
    last: _Numbers
    first, last = (np.repeat(span[None, places], _PARTS, axis=0) for span in table.spans)
    rows = table.numbers[places]
    first[-_PER_ROW:], last[-_PER_ROW:] = rows, rows + 1
    base, width = table.addresses[parts, slots], table.widths[parts]
    starts, ends = base + first[parts] * width, base + last[parts] * width
    owners = np.broadcast_to(slots, starts.shape)
    read_ranges_ahead(starts.reshape(-1), ends.reshape(-1), owners.reshape(-1))
