"""A segment's rows against their checksums and against what the catalog says of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from setwise_engine.collection._metadata import read_metadata
from setwise_engine.collection._schema import read_format
from setwise_engine.collection._segment import Segment
from setwise_engine.collection._types import SegmentEntry
from setwise_engine.collection._view import key_of
from setwise_engine.errors import CorruptError
from setwise_engine.filters import flatten
from setwise_engine.matching import gate_holds

__all__ = ["count_images", "row_problems"]

_ROWS = (
    "SELECT {}, key, id, metadata, tokens, width, height, grid_rows, grid_columns FROM images"
    " WHERE key >= ? AND key < ? ORDER BY key"
)
_ENTRIES = "SELECT name, kind, value FROM entries LEFT JOIN fields USING (field) WHERE birth = ?"


def count_images(connection: sqlite3.Connection) -> int:
    """Live images of the catalog."""
    return int(connection.execute("SELECT count(*) FROM images").fetchone()[0])


def row_problems(
    connection: sqlite3.Connection, entry: SegmentEntry, segment: Segment, *, recompute: bool = False
) -> Iterator[str]:
    """What is wrong with the coarse vectors and the live rows, one sentence each.

    recompute: also holds every int8 gate against its tokens.
    """
    try:
        segment.coarse()
    except CorruptError as error:
        yield str(error)
    typed = read_format(connection) > 1
    rows = connection.execute(_ROWS.format("birth" if typed else "key"), _span(entry))
    for birth, key, id, metadata, tokens, *shape in rows:
        row = key - key_of(entry.id, 0)
        if row >= entry.rows:
            yield f"image {id!r} is row {row} of segment {entry.file}, which has {entry.rows} rows"
            continue
        if birth != (key if segment.births is None else segment.births.item(row)):
            yield f"image {id!r} has another birth in the catalog than in {entry.file}"
        try:
            fields = read_metadata(metadata, id)
            if typed and set(connection.execute(_ENTRIES, (birth,))) != set(flatten(fields)):
                yield f"the filter table of the catalog has another metadata of image {id!r} than the image"
            _check_row(segment, row, id, recompute=recompute)
        except CorruptError as error:
            yield str(error)
        here = [*(segment.image_size(row) or (None, None)), *(segment.grid(row) or (None, None))]
        if (tokens, shape) != (segment.token_count(row), here):
            yield f"image {id!r} has other numbers of tokens, grid or size in the catalog than in {entry.file}"


def _check_row(segment: Segment, row: int, id: str, *, recompute: bool) -> None:
    tokens, gate = segment.tokens(row, id), segment.gate(row)
    if gate is None:
        return
    segment.check(row, id, gate=True)
    if recompute and not gate_holds(gate, tokens):
        message = f"the int8 gate of image {id!r}, row {row} of segment {segment.file}, does not fit its tokens"
        raise CorruptError(f"{message}; searches may miss it: append the image again")


def _span(entry: SegmentEntry) -> tuple[int, int]:
    return key_of(entry.id, 0), key_of(entry.id + 1, 0)
