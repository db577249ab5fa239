"""Which segments are worth merging (docs/decisions/0091-compaction.md).

Segments are taken in the order in which their images were first stored, and only neighbours are merged, so that births
rise through the segments for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from setwise_engine.collection._view import ROW_BITS, View

__all__ = ["MAX_BYTES", "MAX_ROWS", "Piece", "due_steps", "every_step", "pieces"]

MAX_BYTES = 256 << 20
"""Bytes of a segment that compaction makes; one image may be larger."""
MAX_ROWS = 16_384
DEAD_SHARE = 0.2
FAN_IN = 8
GROWTH = 3


@dataclass(frozen=True, slots=True)
class Piece:
    """A live segment: its number, rows, those of them that live, bytes that these take, and whether it has a gate."""

    number: int
    rows: int
    live: int
    bytes: float
    gate: bool
    fixed: bool = False

    @property
    def clean(self) -> bool:
        """Whether so few rows are dead that they are not worth a rewrite."""
        return self.rows - self.live <= DEAD_SHARE * self.rows


Step = tuple[int, ...]


def pieces(view: View, damaged: frozenset[int] = frozenset()) -> list[Piece]:
    """The view's segments in the order of their births. Damaged ones are left where they are."""
    dead = np.bincount(np.searchsorted(view.numbers, view.dead >> ROW_BITS), minlength=len(view.numbers))
    found = []
    for (number, entry), gone in zip(view.entries.items(), dead.tolist(), strict=True):
        segment = view.segments[number]
        first = number << ROW_BITS if segment.births is None else int(segment.births[0])
        live = entry.rows - gone
        size = entry.bytes * live / entry.rows
        gate = segment.block.gate is not None
        found.append((first, Piece(number, entry.rows, live, size, gate, number in damaged)))
    return [piece for _, piece in sorted(found, key=lambda item: item[0])]


def due_steps(segments: Sequence[Piece]) -> Iterator[Step]:
    """What is worth doing: the segments that become one, or none when all of their rows are dead.

    Neighbours are merged when there are many, together much larger than the largest of them: whenever an image is
    copied, the segment it lies in grows by that factor, so it is copied a logarithmic number of times.
    """
    yield from _empty(segments)
    for run in _runs([piece for piece in segments if piece.live]):
        done = 0
        while done < len(run):
            width = _width(run[done:])
            if width:
                yield tuple(piece.number for piece in run[done : done + width])
            done += width or 1


def every_step(segments: Sequence[Piece]) -> Iterator[Step]:
    """As few segments as possible and no dead rows."""
    yield from _empty(segments)
    for run in _runs([piece for piece in segments if piece.live]):
        done = 0
        while done < len(run):
            width = _fitting(run[done:])
            if width > 1 or run[done].live < run[done].rows:
                yield tuple(piece.number for piece in run[done : done + width])
            done += width


def _empty(segments: Sequence[Piece]) -> Iterator[Step]:
    numbers = tuple(piece.number for piece in segments if not piece.live)
    if numbers:
        yield numbers


def _runs(segments: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Neighbours that may become one: both with a gate or both without, and not damaged."""
    run: list[Piece] = []
    for piece in segments:
        if run and (piece.fixed or piece.gate != run[-1].gate):
            yield run
            run = []
        if not piece.fixed:
            run.append(piece)
    if run:
        yield run


def _fitting(run: Sequence[Piece]) -> int:
    """How many of the first segments fit into one."""
    size, rows = 0.0, 0
    for width, piece in enumerate(run):
        size, rows = size + piece.bytes, rows + piece.live
        if width and (size > MAX_BYTES or rows > MAX_ROWS):
            return width
    return len(run)


def _width(run: Sequence[Piece]) -> int:
    """How many of the first segments are worth merging now; 0 for none."""
    fit = _fitting(run)
    sizes = np.cumsum([piece.bytes for piece in run[:fit]])
    largest = np.maximum.accumulate([piece.bytes for piece in run[:fit]])
    many = np.flatnonzero(sizes >= GROWTH * largest)
    # More will follow and be merged with these, unless they fill a segment already.
    least = FAN_IN if fit == len(run) else 2
    if many.size and many[-1] + 1 >= least:
        return int(many[-1]) + 1
    return 0 if run[0].clean else 1
