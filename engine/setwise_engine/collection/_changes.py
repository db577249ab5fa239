"""Checks of what is to be written, and the catalog rows it becomes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

from setwise_engine.collection._fields import delete_entries, insert_entries
from setwise_engine.collection._metadata import MetadataValue, check_id, check_metadata, is_unicode
from setwise_engine.collection._segment_writer import WrittenSegment
from setwise_engine.collection._types import ImageRecord, Settings, Source
from setwise_engine.collection._view import key_of
from setwise_engine.errors import Incompatible, InvalidInput, NotFound
from setwise_engine.feature_set import Stage

__all__ = ["check_records", "check_source", "insert_images", "insert_segment", "kill_rows", "update_images"]


def check_records(records: Sequence[ImageRecord], settings: Settings) -> list[str]:
    """The records' metadata as JSON. Raises InvalidInput or Incompatible naming the image at fault."""
    seen: set[str] = set()
    for record in records:
        if check_id(record.id) in seen:
            raise InvalidInput(f"id {record.id!r} occurs twice in one append; give each image once", field="id")
        seen.add(record.id)
        _check_set(record, settings)
        check_source(record.source, record.id)
    return [check_metadata(record.metadata, record.id) for record in records]


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


def check_source(source: Source | None, id: str) -> None:
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
    """Notes the images of a segment; those that they replace must be dead already."""
    marks = ", ".join("?" * 13)
    connection.executemany(f"INSERT INTO images VALUES ({marks})", _image_rows(number, records, metadata))
    insert_entries(connection, ((key_of(number, row), record.metadata) for row, record in enumerate(records)))


def _image_rows(number: int, records: Sequence[ImageRecord], metadata: Sequence[str]) -> Iterator[tuple[object, ...]]:
    for row, (record, text) in enumerate(zip(records, metadata, strict=True)):
        features = record.features
        size = features.image_size or (None, None)
        grid = features.grid or (None, None)
        source = _source_columns(record.source)
        yield (
            key_of(number, row),
            record.id,
            len(features),
            *size,
            *grid,
            record.content_hash,
            *source,
            text,
            key_of(number, row),
        )


def kill_rows(connection: sqlite3.Connection, ids: Sequence[str], version: int) -> int:
    """Moves the images of these ids from the live to the dead rows; ids that are not there are left out."""
    killed = 0
    for id in ids:
        row = connection.execute("DELETE FROM images WHERE id = ? RETURNING key, birth", (id,)).fetchone()
        if row is not None:
            connection.execute("INSERT INTO dead VALUES (?, ?)", (row[0], version))
            delete_entries(connection, [row[1]])
            killed += 1
    return killed


def update_images(
    connection: sqlite3.Connection,
    changes: Mapping[str, Mapping[str, MetadataValue]],
    sources: Mapping[str, Source],
) -> None:
    """Replaces metadata, and sources, of images by id. Raises NotFound naming an id that is not there."""
    texts = [(check_metadata(metadata, id), id) for id, metadata in changes.items()]
    for id, metadata in changes.items():
        birth = connection.execute("SELECT birth FROM images WHERE id = ?", (id,)).fetchone()
        if birth is not None:
            delete_entries(connection, birth)
            insert_entries(connection, [(*birth, metadata)])
    for id, source in sources.items():
        check_source(source, id)
    origins = [(*_source_columns(source), id) for id, source in sources.items()]
    for statement, rows in (
        ("UPDATE images SET metadata = ? WHERE id = ?", texts),
        ("UPDATE images SET source_path = ?, source_size = ?, source_mtime_ns = ? WHERE id = ?", origins),
    ):
        for row in rows:
            if connection.execute(statement, row).rowcount == 0:
                raise NotFound(f"there is no image {row[-1]!r} to update; list the images to see their ids")


def _source_columns(source: Source | None) -> tuple[str | None, int | None, int | None]:
    return (None, None, None) if source is None else (source.path, source.size, source.mtime_ns)
