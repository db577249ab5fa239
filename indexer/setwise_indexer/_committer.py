"""Commits in the background: whatever has been acknowledged is on disk for good."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from setwise_engine.collection import Collection, ImageRecord, Source
from setwise_indexer._items import Metadata

__all__ = ["COMMIT_BYTES", "Committer"]

COMMIT_BYTES = 64 * 2**20
_COMMIT_UPDATES = 10_000


class Committer:
    """Gathers records and commits them after `seconds` or `max_bytes`, whichever comes first.

    One commit runs at a time while the next is gathered, so at most two of them are in memory. Leaving the `with`
    commits the rest, also when an interrupt or an error ends the run.
    """

    def __init__(self, collection: Collection, *, seconds: float, max_bytes: int = COMMIT_BYTES) -> None:
        self._collection, self._seconds, self._max_bytes = collection, seconds, max_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._running: Future[None] | None = None
        self._records: list[ImageRecord] = []
        self._metadata: dict[str, Metadata] = {}
        self._sources: dict[str, Source] = {}
        self._bytes, self._since = 0, time.monotonic()

    def add(self, record: ImageRecord) -> None:
        """Store an image, new or in place of the one with its id."""
        self._records.append(record)
        self._bytes += record.features.tokens.nbytes + len(record.thumbnail)
        self._commit_if_due()

    def update(self, id: str, metadata: Metadata | None, source: Source | None) -> None:
        """Store an image's new metadata and place without touching its features."""
        if metadata is not None:
            self._metadata[id] = metadata
        if source is not None:
            self._sources[id] = source
        self._commit_if_due()

    def flush(self) -> None:
        """Commit what was gathered and wait until it is on disk. Raises what the commit raised."""
        self._commit()
        self._wait()

    def __enter__(self) -> Committer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.flush()
        finally:
            self._thread.shutdown()

    def _commit_if_due(self) -> None:
        waiting = len(self._metadata) + len(self._sources)
        full = self._bytes >= self._max_bytes or waiting >= _COMMIT_UPDATES
        if full or time.monotonic() - self._since >= self._seconds:
            self._commit()

    def _commit(self) -> None:
        self._wait()
        records, metadata, sources = self._records, self._metadata, self._sources
        self._records, self._metadata, self._sources = [], {}, {}
        self._bytes, self._since = 0, time.monotonic()
        if records or metadata or sources:
            self._running = self._thread.submit(self._store, records, metadata, sources)

    def _wait(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def _store(
        self, records: list[ImageRecord], metadata: Mapping[str, Metadata], sources: Mapping[str, Source]
    ) -> None:
        if records:
            self._collection.append(records)
        if metadata or sources:
            self._collection.update(metadata, sources)
