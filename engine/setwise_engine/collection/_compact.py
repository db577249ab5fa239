"""One step of compaction: live rows of some segments become a new segment, while others read and write.

Segments never change, so they are copied without the writer lock, which is taken twice for a moment: to reserve the
new segment's number, so that no other writer removes the unfinished file, and to put it in the place of its sources.
What a crash leaves is a reserved number and its file; whoever compacts or opens the collection next removes both.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from setwise_engine.collection._merge import Pace, Part, merge_segments
from setwise_engine.collection._segment_writer import WrittenSegment
from setwise_engine.collection._view import ROW_BITS, View, key_of
from setwise_engine.collection._writer import Writer
from setwise_engine.errors import CollectionError, CorruptError

__all__ = ["Step", "compact_segments"]

_WAIT_S = 60.0
"""How long a copy of many megabytes waits for the lock before it was made in vain."""

_WITHIN = "key >= ? AND key < ?"


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did: rows that are no longer on disk, and bytes that were written."""

    dropped: int = 0
    written: int = 0


def compact_segments(writer: Writer, view: View, numbers: Sequence[int], pace: Pace) -> Step:
    """Puts the live rows of these segments, neighbours in the order of births, into one; none if none is live.

    The caller holds the compaction lock. Raises Damaged naming a source that is damaged; all stay as they are.
    """
    parts = _parts(view, numbers)
    if not parts:
        return _replace(writer, view, numbers, parts, None)
    for part in parts:
        part.check(pace)
    with writer.transaction(wait_s=_WAIT_S, counted=False) as (connection, _):
        number, path = writer.reserve(connection, sum(len(part.rows) for part in parts))
    try:
        written = merge_segments(path, parts, writer.owner(number), writer.disk, pace)
        return _replace(writer, view, numbers, parts, (number, written))
    except BaseException:
        with contextlib.suppress(CollectionError):
            writer.forget_reserved()
        raise


def _parts(view: View, numbers: Sequence[int]) -> list[Part]:
    parts = []
    for number in numbers:
        first, last = np.searchsorted(view.live, [number << ROW_BITS, (number + 1) << ROW_BITS])
        if first < last:
            rows = view.live[first:last] - (number << ROW_BITS)
            births, sha256 = view.live_births[first:last], view.entries[number].sha256
            parts.append(Part(number, view.segments[number], rows, births, sha256))
    return parts


def _replace(
    writer: Writer, view: View, numbers: Sequence[int], parts: Sequence[Part], new: tuple[int, WrittenSegment] | None
) -> Step:
    """The short commit: images move to the new segment, rows that died meanwhile are dead there, sources are gone."""
    with writer.lock.hold(wait_s=_WAIT_S):
        with writer.writing() as (connection, version):
            _check_sources(connection, numbers)
            again = _move(connection, parts, new, version) if new else 0
            dead = sum(
                connection.execute(f"DELETE FROM dead WHERE {_WITHIN}", _span(number)).rowcount for number in numbers
            )
            connection.executemany("UPDATE segments SET state = 'gone' WHERE id = ?", ((number,) for number in numbers))
        writer.remove([view.entries[number].file for number in numbers])
    return Step(dead - again, new[1].bytes if new else 0)


def _check_sources(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    for number in numbers:
        row = connection.execute("SELECT state FROM segments WHERE id = ?", (number,)).fetchone()
        if row != ("live",):
            raise CollectionError(f"segment {number} was replaced while it was compacted; compact again")


def _move(connection: sqlite3.Connection, parts: Sequence[Part], new: tuple[int, WrittenSegment], version: int) -> int:
    """Gives images their new keys; returns how many of the copied rows are dead by now."""
    number, written = new
    connection.execute(
        "UPDATE segments SET state = 'live', rows = ?, tokens = ?, thumbnail_bytes = ?, bytes = ?, sha256 = ?"
        " WHERE id = ? AND state = 'reserved'",
        (written.rows, written.tokens, written.thumbnail_bytes, written.bytes, written.sha256, number),
    )
    moved = died = row = 0
    for part in parts:
        for first, last in part.runs():
            old, by = key_of(part.number, first), key_of(number, row) - key_of(part.number, first)
            span = (old, old + last - first)
            moved += connection.execute(
                "UPDATE images SET key = key + ? WHERE key >= ? AND key < ?", (by, *span)
            ).rowcount
            died += connection.execute(
                "INSERT INTO dead SELECT key + ?, ? FROM dead WHERE key >= ? AND key < ?", (by, version, *span)
            ).rowcount
            row += last - first
    if moved + died != written.rows:
        found = f"{moved} live and {died} dead rows of the {written.rows} that were copied"
        raise CorruptError(f"the catalog has {found}; run `setwise verify`")
    return died


def _span(number: int) -> tuple[int, int]:
    return number << ROW_BITS, (number + 1) << ROW_BITS
