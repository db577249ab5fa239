"""Connections to the catalog: one for writing, a pool for reading."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from setwise_engine.collection._durable import Disk
from setwise_engine.collection._layout import GATE_VERSION
from setwise_engine.collection._schema import CATALOG_FILE, check_identity, create_tables, sqlite_errors, upgrade_tables
from setwise_engine.collection._types import Settings
from setwise_engine.errors import CollectionError, CorruptError, FormatError, LockedError

__all__ = [
    "POOL_SIZE",
    "WRITER_CACHE_BYTES",
    "Catalog",
    "create_catalog",
    "read_number",
    "read_settings",
    "read_text",
    "settings_meta",
]

POOL_SIZE = 16
WRITER_CACHE_BYTES = 32 << 20
_BUSY_MS = 5000
_LONG_LOG = 64 << 20
_SHORTEN_WAIT_MS = 100
_SHORTEN_EVERY_S = 2.0


def create_catalog(folder: Path, meta: dict[str, str | int], disk: Disk) -> None:
    """Makes the catalog of an empty collection; it appears under its name only when it is whole and on disk."""
    temporary = folder / f"{CATALOG_FILE}.tmp"
    for leftover in (temporary, *(folder / f"{temporary.name}{suffix}" for suffix in ("-wal", "-shm"))):
        disk.remove(leftover)
    with sqlite_errors(folder):
        connection = _connect(temporary, "mode=rwc")
        try:
            create_tables(connection)
            connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
            disk.commit(connection)
        finally:
            connection.close()  # the last connection moves the log into the file and removes it
    disk.fsync_path(temporary)
    disk.rename(temporary, folder / CATALOG_FILE)
    disk.fsync_folder(folder)


class Catalog:
    """The catalog of one collection, opened; safe from many threads."""

    def __init__(self, folder: Path, *, writable: bool) -> None:
        """Opens and checks it. Raises FormatError when it is not ours, CorruptError when it is damaged."""
        self.folder = folder
        self._file = folder / CATALOG_FILE
        self._writable = writable
        self._pool: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        self._seen: tuple[int, ...] = ()
        self._writer: sqlite3.Connection | None = None
        self._shortened = -math.inf
        self._number = _inode(folder)
        with self.reading() as connection, sqlite_errors(folder), _told_apart(folder):
            check_identity(connection, folder)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one read transaction: every query in the `with` sees the same version.

        Without the right to write that takes luck, and the end of the `with` raises LockedError where it was not so.
        """
        connection, seen = self._take()
        try:
            with sqlite_errors(self.folder):
                connection.execute("BEGIN")
            try:
                yield connection
            except (CorruptError, sqlite3.DatabaseError):
                self._check_unchanged(connection, seen)
                raise
            self._check_unchanged(connection, seen)
        finally:
            self._give(connection, seen)

    @contextlib.contextmanager
    def writing(self, disk: Disk, *, counted: bool = True) -> Iterator[tuple[sqlite3.Connection, int]]:
        """A connection inside one write transaction and the version that its commit makes.

        The caller holds the writer lock. Commits at the end of the `with` when something was changed, rolls back when
        it raises. A catalog of an older format version becomes one of the present version by the same commit.
        counted: whether it makes a new version; one that readers cannot tell from the one before need not.
        """
        with sqlite_errors(self.folder):
            connection = self._take_writer()
            try:
                connection.execute("BEGIN IMMEDIATE")
                counted |= upgrade_tables(connection)
                version = read_number(connection, "version") + 1
                before = connection.total_changes
                yield connection, version
                if connection.total_changes > before:
                    if counted:
                        connection.execute("UPDATE meta SET value = ? WHERE name = 'version'", (version,))
                    disk.commit(connection)
                    self._shorten_log(connection)
                connection.rollback()
            except BaseException:
                connection.close()  # rolls back what was not committed
                raise
            self._give_writer(connection)

    def close(self) -> None:
        """Closes all connections that are not in use; the rest close when they are given back."""
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, []
            writer, self._writer = self._writer, None
        for connection in (*pool, *([writer] if writer else [])):
            connection.close()

    def _take_writer(self) -> sqlite3.Connection:
        """The connection that wrote last, with the pages that it has in memory, or a new one."""
        with self._lock:
            if self._closed:
                raise CollectionError(f"collection {self.folder} is closed; open it again")
            connection, self._writer = self._writer, None
        if connection is not None and self._is_there():
            return connection
        if connection is not None:
            connection.close()
        connection = self._connect("mode=rw")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size={-WRITER_CACHE_BYTES // 1024}")
        return connection

    def _give_writer(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._writer = connection
                return
        connection.close()

    def _shorten_log(self, connection: sqlite3.Connection) -> None:
        """Empties a long log, which SQLite by itself does only when a commit happens to meet no reader.

        Readers that began before the log was copied must end first: it waits for them a moment and tries again later.
        """
        if self._log_size() < _LONG_LOG or time.monotonic() < self._shortened + _SHORTEN_EVERY_S:
            return
        self._shortened = time.monotonic()
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute(f"PRAGMA busy_timeout={_SHORTEN_WAIT_MS}")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")

    def _take(self) -> tuple[sqlite3.Connection, tuple[int, ...]]:
        """A connection for reading, and what the file was like when it was taken."""
        with self._lock:
            if self._closed:
                raise CollectionError(f"collection {self.folder} is closed; open it again")
            stale = self._drop_if_changed()
            connection, seen = self._pool.pop() if self._pool else None, self._seen
        for old in stale:
            old.close()
        return connection or self._connect_reader(), seen

    def _give(self, connection: sqlite3.Connection, seen: tuple[int, ...]) -> None:
        with contextlib.suppress(sqlite3.Error):
            connection.rollback()
            with self._lock:
                # One that was in use while the file changed under it still has the old pages.
                if not self._closed and seen == self._seen and len(self._pool) < POOL_SIZE:
                    self._pool.append(connection)
                    return
        connection.close()

    def _connect_reader(self) -> sqlite3.Connection:
        with sqlite_errors(self.folder):
            connection = self._connect("mode=rw" if self._writable else self._read_only_mode())
            connection.execute("PRAGMA query_only=ON")
            return connection

    def _connect(self, options: str) -> sqlite3.Connection:
        """A connection to the file that was opened at first, not to that of another collection in its place.

        Whoever writes holds the lock in the folder, so none can take its place before the commit.
        """
        connection = _connect(self._file, options)
        if self._is_there():
            return connection
        connection.close()
        raise CollectionError(f"collection {self.folder} was dropped or replaced after it was opened; open it again")

    def _is_there(self) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return self._file.stat().st_ino == self._number
        return False

    def _read_only_mode(self) -> str:
        # Without a log nobody has written since the last close, and SQLite needs no shared memory file (which it
        # could not create in an unwritable folder) when it is told that the file does not change.
        return "mode=ro" if self._log_size() else "mode=ro&immutable=1"

    def _check_unchanged(self, connection: sqlite3.Connection, seen: tuple[int, ...]) -> None:
        """Raises LockedError when the pages that an immutable connection has read may be of two versions."""
        if isinstance(connection, _Immutable) and self._state()[:-1] != seen[:-1]:
            raise LockedError(f"{self._file} was written while it was read without the right to write; ask again")

    def _state(self) -> tuple[int, ...]:
        with contextlib.suppress(FileNotFoundError):
            state = self._file.stat()
            return state.st_ino, state.st_size, state.st_mtime_ns, self._log_size()
        return ()

    def _drop_if_changed(self) -> list[sqlite3.Connection]:
        """Immutable connections do not see another user's commits: they go when the file or its log has changed."""
        if self._writable:
            return []
        now = self._state()
        if now == self._seen:
            return []
        stale, self._pool, self._seen = self._pool, [], now
        return stale

    def _log_size(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            return self._file.with_name(f"{CATALOG_FILE}-wal").stat().st_size
        return 0


def settings_meta(settings: Settings) -> dict[str, str | int]:
    """The entries of the catalog's `meta` table that hold the settings.

    The gate stands apart: readers from before it refuse settings that they do not know, and pass over other names.
    """
    plain = dataclasses.asdict(settings)
    gate = GATE_VERSION if plain.pop("gate") else 0
    return {"settings": json.dumps(plain, ensure_ascii=False), "gate": gate}


def read_number(connection: sqlite3.Connection, name: str) -> int:
    """A whole number from the catalog's `meta` table. Raises CorruptError when it is not there."""
    value = _read_meta(connection, name)
    if not isinstance(value, int):
        raise CorruptError(f"the catalog lacks its {name!r} entry; restore it from a backup")
    return value


def read_text(connection: sqlite3.Connection, name: str) -> str:
    """A text from the catalog's `meta` table. Raises CorruptError when it is not there."""
    value = _read_meta(connection, name)
    if not isinstance(value, str):
        raise CorruptError(f"the catalog lacks its {name!r} entry; restore it from a backup")
    return value


def read_settings(connection: sqlite3.Connection) -> Settings:
    """What the collection was made with. Raises CorruptError when it cannot be read."""
    try:
        settings = json.loads(read_text(connection, "settings"))
        return Settings(**settings, gate=bool(_read_meta(connection, "gate")))
    except (ValueError, TypeError) as error:
        raise CorruptError(f"the catalog's settings are damaged ({error}); restore it from a backup") from error


def _read_meta(connection: sqlite3.Connection, name: str) -> object:
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def _connect(file: Path, options: str) -> sqlite3.Connection:
    # isolation_level=None: transactions begin and end only where this module says so.
    uri = f"file:{quote(str(file.absolute()))}?{options}"
    factory = _Immutable if "immutable" in options else sqlite3.Connection
    wait = _BUSY_MS / 1000
    connection = sqlite3.connect(uri, wait, uri=True, isolation_level=None, check_same_thread=False, factory=factory)
    # A catalog may come from a stranger, in a snapshot: its schema may call nothing (sqlite.org/security.html).
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


class _Immutable(sqlite3.Connection):
    """One that was told that the file does not change: it takes no locks, and sees no commit."""


def _inode(folder: Path) -> int:
    """Number of the file. Raises FormatError when there is none, CollectionError when it is unreachable."""
    file = folder / CATALOG_FILE
    try:
        number = file.stat().st_ino
    except FileNotFoundError:
        message = f"{folder} holds no {CATALOG_FILE}, so it is not a collection; give a folder made by `setwise index`"
        raise FormatError(message) from None
    except OSError as error:
        raise CollectionError(f"{file} cannot be reached ({error.strerror}); check its rights") from error
    if not os.access(file, os.R_OK):
        raise CollectionError(f"{file} cannot be read by this process; check its rights")
    return number


@contextlib.contextmanager
def _told_apart(folder: Path) -> Iterator[None]:
    """Raises CorruptError for a damaged catalog, and FormatError for a file that never was one, when SQLite says so.

    Only SQLite may look into the file: whoever else opens and closes it takes from this whole process the locks that
    SQLite holds on it (https://www.sqlite.org/howtocorrupt.html, 2.2), and then the log is removed under our feet when
    another process ends.
    """
    file = folder / CATALOG_FILE
    try:
        if file.stat().st_size:
            yield
            return
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise
    if (folder / "encoder.safetensors").exists():
        raise CorruptError(f"{file} is damaged: it does not begin like an SQLite file; restore it from a backup")
    raise FormatError(f"{file} is not an SQLite file, so not a catalog; give a folder made by `setwise index`")
