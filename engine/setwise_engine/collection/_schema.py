"""The catalog's tables, and how a file is told to be one (docs/format.md)."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from setwise_engine.collection._fields import FIELD_TABLES, insert_entries
from setwise_engine.collection._metadata import read_metadata
from setwise_engine.errors import CollectionError, CorruptError, FormatError, LockedError

__all__ = [
    "CATALOG_FILE",
    "FORMAT_VERSION",
    "check_identity",
    "create_tables",
    "read_format",
    "sqlite_errors",
    "upgrade_tables",
]

CATALOG_FILE = "catalog.sqlite"
FORMAT_VERSION = 2
OLDEST_VERSION = 1
APPLICATION_ID = 0x53455457  # "SETW"

_TABLES = """
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value NOT NULL
) WITHOUT ROWID;

CREATE TABLE segments (
    id INTEGER PRIMARY KEY,
    file TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    rows INTEGER NOT NULL CHECK (rows > 0),
    tokens INTEGER NOT NULL,
    thumbnail_bytes INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL
);

CREATE TABLE images (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tokens INTEGER NOT NULL,
    width INTEGER,
    height INTEGER,
    grid_rows INTEGER,
    grid_columns INTEGER,
    content_hash TEXT NOT NULL,
    source_path TEXT,
    source_size INTEGER,
    source_mtime_ns INTEGER,
    metadata TEXT NOT NULL,
    birth INTEGER NOT NULL
);

CREATE TABLE dead (
    key INTEGER PRIMARY KEY,
    version INTEGER NOT NULL
);
"""

# What version 2 has beyond the column `birth`: rows of segments are kept for ever, those of images and dead rows are
# asked for by birth and by version.
_SINCE_2 = (
    "CREATE UNIQUE INDEX images_of_birth ON images (birth)",
    "CREATE INDEX dead_of_version ON dead (version)",
    "CREATE INDEX segments_kept ON segments (id) WHERE state != 'gone'",
    *FIELD_TABLES,
)


def create_tables(connection: sqlite3.Connection) -> None:
    """Makes an empty database a catalog of the present format version."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("BEGIN IMMEDIATE")
    for statement in (*_TABLES.split(";"), *_SINCE_2):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={FORMAT_VERSION}")


def read_format(connection: sqlite3.Connection) -> int:
    """The format version of the catalog in the connection's transaction."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def upgrade_tables(connection: sqlite3.Connection) -> bool:
    """Brings a catalog of an older version to the present one, inside the caller's write transaction; False if it is.

    In version 1 nothing was ever moved, so every image lies where it was first stored.
    """
    if read_format(connection) == FORMAT_VERSION:
        return False
    connection.execute("ALTER TABLE images ADD COLUMN birth INTEGER NOT NULL DEFAULT 0")
    connection.execute("UPDATE images SET birth = key")
    for statement in _SINCE_2:
        connection.execute(statement)
    images = connection.execute("SELECT birth, id, metadata FROM images ORDER BY birth")
    insert_entries(connection, ((birth, read_metadata(text, id)) for birth, id, text in images))
    connection.execute(f"PRAGMA user_version={FORMAT_VERSION}")
    return True


def check_identity(connection: sqlite3.Connection, folder: Path) -> None:
    """Raises FormatError when the database is no catalog, or of a version that this release does not know."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = read_format(connection)
    if application != APPLICATION_ID:
        raise FormatError(
            f"{folder / CATALOG_FILE} is an SQLite file but no catalog of ours; give a folder made by `setwise index`"
        )
    if not OLDEST_VERSION <= version <= FORMAT_VERSION:
        advice = "install a newer setwise to open it" if version > FORMAT_VERSION else "build the collection anew"
        known = f"this release knows versions {OLDEST_VERSION} to {FORMAT_VERSION}"
        raise FormatError(f"{folder} has format version {version}, {known}; {advice}")


@contextlib.contextmanager
def sqlite_errors(folder: Path) -> Iterator[None]:
    """Turns what SQLite says into a sentence that names the catalog."""
    catalog = folder / CATALOG_FILE
    try:
        yield
    except sqlite3.OperationalError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)  # Python's own: text that is no UTF-8
        if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise LockedError(f"{catalog} is locked by another program; close it and try again") from error
        if code == sqlite3.SQLITE_ERROR:
            raise CorruptError(f"{catalog} lacks a part ({error}); restore it from a backup") from error
        if code == sqlite3.SQLITE_CORRUPT:
            raise CorruptError(f"{catalog} is damaged ({error}); restore it from a backup") from error
        if code == sqlite3.SQLITE_CANTOPEN and catalog.with_name(f"{CATALOG_FILE}-wal").exists():
            message = f"{catalog} has a log of unfinished work that only a writer can finish"
            raise CollectionError(f"{message}; open it once with the right to write to its folder") from error
        raise CollectionError(
            f"{catalog} cannot be read or written ({error}); check the disk and the rights"
        ) from error
    except sqlite3.ProgrammingError:
        raise  # ours, not the file's
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter from SQLite's sentence on a bad schema
        raise CorruptError(f"{catalog} is damaged ({error}); restore it from a backup") from error
