"""Checks of what is to be written, and the catalog rows it becomes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._change import Change, Put
from setwise_engine.collection._fields import delete_entries, insert_entries
from setwise_engine.collection._metadata import check_id, check_metadata, is_unicode, read_metadata
from setwise_engine.collection._plan import Plan, Ready, SetSource, Stored
from setwise_engine.collection._schema import FORMAT_VERSION, read_format
from setwise_engine.collection._segment_writer import WrittenSegment, encoded_tokens
from setwise_engine.collection._types import ImageRecord, Settings, Source
from setwise_engine.collection._view import key_of
from setwise_engine.errors import EngineError, Incompatible, InvalidInput
from setwise_engine.feature_set import Stage

__all__ = ["apply_plan", "check_change", "ids_of", "insert_images", "insert_segment", "read_stored"]

_CHUNK = 900  # parameters of one statement; SQLite's oldest limit is 999
_MOST = (1 << 31) - 1  # what a segment holds of a side of a picture or grid


def check_change(change: Change | SetSource, settings: Settings) -> Ready | EngineError:
    """The change with what it needs to be made, or why it cannot be: InvalidInput, FeatureError or Incompatible."""
    try:
        if not isinstance(change, Put):
            check_id(change.id)
            if isinstance(change, SetSource):
                _check_source(change.source, change.id)
            return Ready(change)
        record = change.record
        check_id(record.id)
        _check_set(record, settings)
        encoded_tokens(record)
        _check_source(record.source, record.id)
        return Ready(change, check_metadata(record.metadata, record.id))
    except EngineError as error:
        return error


def _check_set(record: ImageRecord, settings: Settings) -> None:
    features = record.features
    if features.stage is not Stage.ENCODED:
        raise Incompatible(f"tokens of image {record.id!r} are {features.stage}; pass them through the encoder first")
    for what, given, wanted in (
        ("model", features.model, settings.model_fingerprint),
        ("encoder", features.encoder, settings.encoder_fingerprint),
        ("number of dimensions", features.dims, settings.dims),
    ):
        if given != wanted:
            message = f"image {record.id!r} has {what} {given or 'unknown'}, the collection {wanted or 'none'}"
            raise Incompatible(f"{message}; use the collection's own model and encoder")
    for field, sides in (("grid", features.grid), ("image_size", features.image_size)):
        if sides is not None and not all(0 <= side <= _MOST for side in sides):
            message = f"the {field} of image {record.id!r} is {tuple(sides)}; give sides from 0 to {_MOST}"
            raise InvalidInput(message, field=field)


def _check_source(source: Source | None, id: str) -> None:
    """Raises InvalidInput when the catalog cannot hold the source, such as a path that is no text."""
    if source is None:
        return
    if not is_unicode(source.path):
        message = f"the path of image {id!r} is not UTF-8 ({source.path!a}); rename the file"
        raise InvalidInput(message, field="source")
    if not (0 <= source.size < 1 << 63 and -(1 << 63) <= source.mtime_ns < 1 << 63):
        raise InvalidInput(
            f"size or time of the file of image {id!r} is beyond 64 bits; touch the file", field="source"
        )


def read_stored(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Stored]:
    """What the catalog has of these images, by id; those that are not there are left out."""
    birth = "birth" if read_format(connection) == FORMAT_VERSION else "key"
    columns = f"id, key, {birth}, content_hash, metadata, source_path, source_size, source_mtime_ns"
    stored = {}
    for first in range(0, len(ids), _CHUNK):
        part = ids[first : first + _CHUNK]
        marks = ", ".join("?" * len(part))
        rows = connection.execute(f"SELECT {columns} FROM images WHERE id IN ({marks})", part)
        for id, key, born, content_hash, metadata, path, size, mtime in rows:
            source = None if path is None else Source(path, size, mtime)
            stored[id] = Stored(key, born, content_hash, metadata, source)
    return stored


def ids_of(connection: sqlite3.Connection, keys: NDArray[np.int64]) -> list[str]:
    """Ids of the images of these keys."""
    found = (connection.execute("SELECT id FROM images WHERE key = ?", (key,)).fetchone() for key in keys.tolist())
    return [row[0] for row in found if row]


def insert_segment(connection: sqlite3.Connection, number: int, written: WrittenSegment) -> None:
    """Notes a segment that is whole and on disk."""
    connection.execute(
        "INSERT INTO segments (id, file, state, rows, tokens, thumbnail_bytes, bytes, sha256)"
        " VALUES (?, ?, 'live', ?, ?, ?, ?, ?)",
        (number, written.file, written.rows, written.tokens, written.thumbnail_bytes, written.bytes, written.sha256),
    )


def insert_images(
    connection: sqlite3.Connection, number: int, records: Sequence[ImageRecord], metadata: Sequence[str]
) -> None:
    """Notes the images of a segment; those that they replace must be gone already. metadata: as JSON."""
    marks = ", ".join("?" * 13)
    connection.executemany(f"INSERT INTO images VALUES ({marks})", _image_rows(number, records, metadata))
    births = (key_of(number, row) for row in range(len(records)))
    insert_entries(connection, ((birth, read_metadata(text, "")) for birth, text in zip(births, metadata, strict=True)))


def _image_rows(number: int, records: Sequence[ImageRecord], metadata: Sequence[str]) -> Iterator[tuple[object, ...]]:
    for row, (record, text) in enumerate(zip(records, metadata, strict=True)):
        features, key = record.features, key_of(number, row)
        size = features.image_size or (None, None)
        grid = features.grid or (None, None)
        source = _source_columns(record.source)
        yield (key, record.id, len(features), *size, *grid, record.content_hash, *source, text, key)


def apply_plan(connection: sqlite3.Connection, plan: Plan, version: int) -> None:
    """Makes the changes to what is stored; the new records are inserted afterwards."""
    keys = [(image.key,) for image in plan.gone]
    connection.executemany("DELETE FROM images WHERE key = ?", keys)
    connection.executemany("INSERT INTO dead VALUES (?, ?)", ((*key, version) for key in keys))
    other = [(before, after) for before, after in plan.changed if before.metadata != after.metadata]
    delete_entries(connection, [image.birth for image in plan.gone] + [before.birth for before, _ in other])
    insert_entries(connection, ((after.birth, read_metadata(after.metadata, "")) for _, after in other))
    connection.executemany(
        "UPDATE images SET metadata = ?, source_path = ?, source_size = ?, source_mtime_ns = ? WHERE key = ?",
        ((after.metadata, *_source_columns(after.source), after.key) for _, after in plan.changed),
    )


def _source_columns(source: Source | None) -> tuple[str | None, int | None, int | None]:
    return (None, None, None) if source is None else (source.path, source.size, source.mtime_ns)
