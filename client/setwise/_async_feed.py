"""What an async iterable gives, for the thread that sends it."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterable, Iterator
from contextlib import suppress
from typing import Any, Generic, TypeVar

from setwise._driver import Job
from setwise._errors import CancelledError
from setwise._retry import Budget, Retries
from setwise._transport import Transport

__all__ = ["Fed", "Feed"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Feed(Iterator[T]):
    """Asks the event loop for one item after the other. Made on the loop, read in another thread."""

    def __init__(self, items: AsyncIterable[T]) -> None:
        self._items = aiter(items)
        self._loop = asyncio.get_running_loop()
        self._pending: concurrent.futures.Future[list[T]] | None = None
        self._cancelled = False

    def __next__(self) -> T:
        """The next item. Raises what the iterable raises, and CancelledError once it was cancelled."""
        self._pending = asyncio.run_coroutine_threadsafe(self._advance(), self._loop)
        if self._cancelled:
            self._pending.cancel()
        try:
            found = self._pending.result()
        except concurrent.futures.CancelledError:
            raise CancelledError("the call was cancelled") from None
        if not found:
            raise StopIteration
        return found[0]

    def cancel(self) -> None:
        """Wait for no further item."""
        self._cancelled = True
        if self._pending is not None:
            self._pending.cancel()

    async def close(self) -> None:
        """Let the iterable clean up, where it can: it may not have come to its end."""
        close: Any = getattr(self._items, "aclose", None)
        if close is not None:
            with suppress(RuntimeError):  # it is still running: then it was cancelled, and ends by itself
                await close()

    async def _advance(self) -> list[T]:
        try:
            return [await anext(self._items)]
        except StopAsyncIteration:
            return []


class Fed(Generic[T_co]):
    """A job that reads from a feed, which must not hold up its end."""

    def __init__(self, job: Job[T_co], feed: Feed[Any]) -> None:
        self._job, self._feed = job, feed

    @property
    def method(self) -> str:
        """The job's."""
        return self._job.method

    def run(self, transport: Transport, budget: Budget, retries: Retries) -> T_co:
        """As the job's."""
        return self._job.run(transport, budget, retries)

    def cancel(self) -> None:
        """End it soon: `run` raises CancelledError."""
        self._job.cancel()
        self._feed.cancel()
