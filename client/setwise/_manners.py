"""Keeping within what the server told: so many calls and streams at once, so many calls in a second.

What would only be refused is not sent; it waits here, as long as its caller has time.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from setwise._errors import DeadlineExceededError
from setwise._retry import Budget
from setwise._values import Limits

__all__ = ["AsyncTurns", "Pace", "Turns", "calls_at_once", "streams_at_once"]


def calls_at_once(limits: Limits | None) -> int:
    """Calls that the server computes or lets wait; 0 where nothing is known."""
    return limits.max_concurrent + limits.max_queue if limits and limits.max_concurrent else 0


def streams_at_once(limits: Limits | None) -> int:
    """Streams that the server lets one caller have; 0 where nothing is known."""
    return min(limits.max_streams, limits.max_streams_per_client) or limits.max_streams if limits else 0


class Pace:
    """Spreads calls over time as the server counts them: those of one second, less one, may come at once. That one is
    left because calls may reach the server closer together than they left. Thread-safe.

    Source: the generic cell rate algorithm, ITU-T I.371; it keeps one number, the moment from which a second's calls
    are free again.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock, self._rested = clock, threading.Lock(), 0.0
        self._before = 0  # calls made while no rate was known

    def wait(self, limits: Limits | None, budget: Budget) -> float:
        """Take the next place, and give the seconds until it. Raises DeadlineExceededError, and takes none, when the
        caller has not so much time."""
        rate = limits.max_calls_per_second if limits else 0.0
        with self._lock:
            if not rate:
                self._before += limits is None
                return 0.0
            now, apart = self._clock(), 1 / rate
            rested = max(now, self._rested) + apart * (1 + self._before)
            self._before = 0
            seconds = max(rested - now - max(1.0 - apart, apart), 0.0)
            if seconds >= budget.remaining():
                what = f"the server takes {rate:g} calls a second, and this one's turn comes in {seconds:.3g} s"
                raise DeadlineExceededError(f"{what}; ask less often, or allow more time with timeout=")
            self._rested = rested
        return seconds


class Turns:
    """So many at once; more wait. Thread-safe."""

    def __init__(self) -> None:
        self._lock, self._most = threading.Lock(), 0
        self._free = threading.Semaphore()

    @contextmanager
    def turn(self, most: int, budget: Budget) -> Iterator[None]:
        """Have one of `most` places; 0 for no limit. Raises DeadlineExceededError when none came free in time."""
        if not most:
            yield
            return
        free = self._places(most)
        if not free.acquire(timeout=budget.timeout()):
            raise _too_late(most)
        try:
            yield
        finally:
            free.release()

    def _places(self, most: int) -> threading.Semaphore:
        with self._lock:
            if most != self._most:
                self._most, self._free = most, threading.Semaphore(most)
            return self._free


class AsyncTurns:
    """The same for one event loop."""

    def __init__(self) -> None:
        self._most, self._free = 0, asyncio.Semaphore()

    @asynccontextmanager
    async def turn(self, most: int, budget: Budget) -> AsyncIterator[None]:
        """As Turns.turn."""
        if not most:
            yield
            return
        if most != self._most:
            self._most, self._free = most, asyncio.Semaphore(most)
        free = self._free
        if free.locked():
            try:
                await asyncio.wait_for(free.acquire(), budget.timeout())
            except TimeoutError:
                raise _too_late(most) from None
        else:
            await free.acquire()
        try:
            yield
        finally:
            free.release()


def _too_late(most: int) -> DeadlineExceededError:
    what = f"no turn came in time: this client has {most} calls running, as many as the server takes"
    return DeadlineExceededError(f"{what}; start fewer at once, or allow more time with timeout=")
