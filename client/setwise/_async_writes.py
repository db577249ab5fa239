"""The methods of the asyncio client that write images."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any

from setwise._async_driver import AsyncDriver
from setwise._async_feed import Fed, Feed
from setwise._features import Id
from setwise._item import ItemLike
from setwise._plan_writes import Changes, Ids
from setwise._reports import DeleteReport, Outcome, UpdateReport, UpsertReport
from setwise._tally import OnError, ProgressLike
from setwise._where_text import Where

__all__ = ["AsyncWrites"]


class AsyncWrites(AsyncDriver):
    """Stores, changes and deletes images."""

    async def upsert(
        self,
        images: Iterable[ItemLike] | AsyncIterable[ItemLike],
        *,
        mode: str = "upsert",
        on_error: OnError = "raise",
        progress: ProgressLike = None,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> UpsertReport:
        """As `Client.upsert`; images may also be an async iterable. The images are read, and the functions called, in
        another thread."""
        feed = Feed(images) if isinstance(images, AsyncIterable) else None
        given = images if feed is None else feed
        upload = await self._run(self._writes.upsert(given, mode, on_error, progress, collection), timeout)
        if feed is None:
            return await self._stream(upload, timeout)
        try:
            return await self._stream(Fed(upload, feed), timeout)
        finally:
            await feed.close()

    async def delete(
        self,
        ids: Ids | None = None,
        *,
        where: Where | None = None,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> DeleteReport:
        """As `Client.delete`."""
        return await self._run(self._writes.delete(ids, where, collection), timeout)

    async def update(
        self,
        id: str | Id,
        metadata: Mapping[str, Any],
        *,
        replace: bool = False,
        remove: Iterable[str] = (),
        collection: str | None = None,
        timeout: float | None = None,
    ) -> Outcome:
        """As `Client.update`."""
        return await self._run(self._writes.update(id, metadata, replace, remove, collection), timeout)

    async def update_many(
        self,
        changes: Changes,
        *,
        replace: bool = False,
        remove: Iterable[str] = (),
        on_error: OnError = "raise",
        collection: str | None = None,
        timeout: float | None = None,
    ) -> UpdateReport:
        """As `Client.update_many`."""
        return await self._run(self._writes.update_many(changes, replace, remove, on_error, collection), timeout)
