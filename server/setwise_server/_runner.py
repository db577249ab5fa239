"""Bounded pools of threads between the event loop and the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from setwise_server._call import Call
from setwise_server._errors import BusyError

__all__ = ["Runner"]

T = TypeVar("T")


class Runner:
    """Runs sync work off the event loop: `workers` calls at once, `max_queue` more wait, the rest are refused.

    Counted are the threads' calls, not the callers: a call whose caller has gone holds its place until it notices.
    All methods belong to the event loop's thread. option: what the server was told the number with, for messages.
    """

    def __init__(self, workers: int, max_queue: int, name: str = "setwise", option: str = "") -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._room = workers + max_queue
        self._calls = 0
        self._option = f" ({option})" if option else ""
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self, work: Callable[[], T], call: Call) -> T:
        """What `work` returns or raises; BusyError when the queue is full. Cancels `call` when its caller goes."""
        if self._calls >= self._room:
            raise BusyError(
                f"{self._calls} calls of this kind are running or waiting, as many as this server takes"
                f"{self._option}; try again later"
            )
        self._calls += 1
        self._idle.clear()
        loop = asyncio.get_running_loop()
        future = self._pool.submit(work)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._finished))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            call.cancel()
            raise

    async def drain(self, grace: float) -> bool:
        """Wait for the running calls, at most `grace` seconds; whether all of them ended."""
        try:
            await asyncio.wait_for(self._idle.wait(), grace)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Drop what waits and wait for what runs."""
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    def _finished(self) -> None:
        self._calls -= 1
        if not self._calls:
            self._idle.set()
