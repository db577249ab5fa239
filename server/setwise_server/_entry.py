"""One collection that a server serves, or the place of one that it cannot serve yet."""

from __future__ import annotations

import threading
import weakref
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from setwise_engine.collection import Collection
from setwise_engine.errors import CollectionError, EngineError, Incompatible, NotFound
from setwise_engine.search import Searcher
from setwise_server.settings import ServerSettings

if TYPE_CHECKING:
    from setwise_server.ingest import Committer

__all__ = ["Entry", "State"]


class State(StrEnum):
    """Whether a collection can be asked and written to."""

    READY = "ready"
    WAITS = "waits for its encoder"
    FAILED = "cannot be opened"


class Entry:
    """One collection by its name. Thread-safe.

    Whoever holds the entry of a collection may go on using it: a collection that was dropped, or whose folder has gone,
    is closed when the last call that began with it has ended. `collection`, `searcher` and `writer` raise what
    `check_ready` raises.
    """

    def __init__(self, name: str, path: Path, settings: ServerSettings, collection: Collection | None = None) -> None:
        """Use `open`, `attempt`, `waiting` or `failed`."""
        self.name = name
        self.path = path
        self.state = State.READY
        self._settings = settings
        self._refusal: EngineError | None = None
        self._lock = threading.Lock()
        self._committer: Committer | None = None
        self._retired = False
        self._collection = collection
        self._searcher: Searcher | None = None
        self._close = weakref.finalize(self, lambda: None)
        if collection is not None:
            self._searcher = Searcher(
                collection, scan_threads=settings.scan_threads, region_limit=settings.region_limit
            )
            self._close = weakref.finalize(self, collection.close)
        self._close.atexit = False

    @classmethod
    def open(cls, name: str, path: Path, settings: ServerSettings) -> Self:
        """Opens the collection, for writing too where rights and settings allow. Raises what Collection.open raises."""
        return cls(name, path, settings, Collection.open(path, read_only=settings.read_only))

    @classmethod
    def attempt(cls, name: str, path: Path, settings: ServerSettings) -> Self:
        """As `open`, but gives what `failed` gives when it cannot be opened, whatever the reason."""
        try:
            return cls.open(name, path, settings)
        except EngineError as error:
            return cls.failed(name, path, settings, error)
        except Exception as error:  # one that cannot be opened must not stop the others
            return cls.failed(name, path, settings, CollectionError(f"{path} cannot be opened: {error}"))

    @classmethod
    def waiting(cls, name: str, path: Path, settings: ServerSettings) -> Self:
        """A collection that was made and has no encoder yet."""
        entry = cls(name, path, settings)
        entry.state = State.WAITS
        message = f'collection "{name}" waits for its encoder; have it fitted to sample images first (FitEncoder)'
        entry._refusal = Incompatible(message)
        return entry

    @classmethod
    def failed(cls, name: str, path: Path, settings: ServerSettings, error: EngineError) -> Self:
        """A collection that cannot be opened, and why."""
        entry = cls(name, path, settings)
        entry.state = State.FAILED
        entry._refusal = error
        return entry

    @property
    def problem(self) -> str:
        """Why it cannot be asked or written to; empty when it can."""
        return "" if self._refusal is None else str(self._refusal)

    def check_ready(self) -> None:
        """Raises Incompatible when it waits for its encoder, and why it could not be opened when it could not."""
        if self._refusal is not None:
            raise type(self._refusal)(str(self._refusal))

    @property
    def collection(self) -> Collection:
        """The collection."""
        self.check_ready()
        assert self._collection is not None
        return self._collection

    @property
    def searcher(self) -> Searcher:
        """Searches it."""
        self.check_ready()
        assert self._searcher is not None
        return self._searcher

    @property
    def writer(self) -> Committer:
        """Gathers its writes into commits; made at the first use. Raises NotFound once the collection was dropped, and
        as `check_writes` does."""
        from setwise_server.ingest import Committer

        self._settings.check_writes()
        collection = self.collection
        with self._lock:
            if self._retired:
                raise NotFound(f'collection "{self.name}" has been dropped', field="collection")
            if self._committer is None:
                self._committer = Committer(collection, self._settings)
            return self._committer

    def retire(self) -> None:
        """Commit what waits and take no more writes; the collection closes when no call uses it any more."""
        with self._lock:
            self._retired = True
            committer, self._committer = self._committer, None
        if committer is not None:
            committer.close()

    def close(self) -> None:
        """Commit what waits, and close the collection at once."""
        self.retire()
        self._close()

    def __repr__(self) -> str:
        return f"Entry({self.name!r}, {self.state})"
