"""The typed table that filters are answered from: every value of every image's metadata, by field and kind.

It is derived from the `metadata` column of `images` and written in the same transaction. Rows name an image by its
birth, which compaction does not move.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from setwise_engine.collection._metadata import MetadataValue
from setwise_engine.filters import flatten

__all__ = ["FIELD_TABLES", "delete_entries", "insert_entries"]

# `value` has no declared type: SQLite then keeps what it is given, and compares integers with floats exactly and text
# by its bytes. The primary key is the covering index of every filter.
FIELD_TABLES: tuple[str, ...] = (
    """CREATE TABLE fields (
    field INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
)""",
    """CREATE TABLE entries (
    field INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    value NOT NULL,
    birth INTEGER NOT NULL,
    PRIMARY KEY (field, kind, value, birth)
) WITHOUT ROWID""",
    "CREATE INDEX entries_of_birth ON entries (birth)",
)


def insert_entries(connection: sqlite3.Connection, images: Iterable[tuple[int, Mapping[str, MetadataValue]]]) -> None:
    """Notes the metadata of images by their births, which must have no entries yet (`delete_entries` first)."""
    fields: dict[str, int] = {}
    rows = (
        (fields.get(name) or _field(connection, fields, name), kind, value, birth)
        for birth, metadata in images
        for name, kind, value in flatten(metadata)
    )
    # A list may hold a value twice, or 1 beside 1.0, which are one.
    connection.executemany("INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?)", rows)


def delete_entries(connection: sqlite3.Connection, births: Iterable[int]) -> None:
    """Forgets what was noted of the images of these births; others are left out."""
    connection.executemany("DELETE FROM entries WHERE birth = ?", ((birth,) for birth in births))


def _field(connection: sqlite3.Connection, fields: dict[str, int], name: str) -> int:
    """The number of a field, which gets one when it is new; remembered in `fields`."""
    connection.execute("INSERT OR IGNORE INTO fields (name) VALUES (?)", (name,))
    (number,) = connection.execute("SELECT field FROM fields WHERE name = ?", (name,)).fetchone()
    fields[name] = number
    return int(number)
