"""Bounded pools of threads between the event loop and the engine."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from setwise_server._call import Call
from setwise_server._errors import BusyError, NotReadyError
from setwise_server._line import Line
from setwise_server._place import Place
from setwise_server._priority import give_way

__all__ = ["Runner"]

MEMORY = 16  # calls over which the mean time of a call goes
CAUTION = 1.5  # by which the wait in the queue is taken to be longer than the mean says (docs/decisions/0115)
LEAST_WAIT_S, MOST_WAIT_S = 0.1, 10.0  # that a refused caller is asked to wait


class Runner:
    """Runs sync work off the event loop: `workers` calls at once, `max_queue` more wait, the rest are refused.

    Callers take turns, and no caller can take the whole queue from the others: when it is full, one who has fewer calls
    in it gets the place of the newest call of whoever has the most. A call that would still wait when its deadline
    passes is refused at once; one whose deadline passed, or whose caller went, gives up its place and is not begun.
    Counted are the threads' calls, not the callers: a running call whose caller has gone holds its place until it
    notices. All methods belong to the event loop's thread.
    name: of the threads. option, limit: what the server was told the number with, and what clients know it as.
    """

    def __init__(
        self, workers: int, max_queue: int, name: str = "setwise", option: str = "", limit: str = "max_queue"
    ) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name, initializer=give_way)
        self._workers = workers
        self._room = workers + max_queue
        self._told = f" ({option})" if option else "", limit, max_queue or workers
        self._lock = threading.Lock()  # the line is the threads', too
        self._line: Line[Place] = Line()
        self._spare = 0  # runs asked of the pool for places that were given up
        self._running: set[Place] = set()
        self._mean: float | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def running(self) -> int:
        """Calls that compute."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Calls that have a place and do not compute yet."""
        return len(self._line)

    @contextmanager
    def place(self, call: Call, caller: str = "", timeout: float | None = None) -> Iterator[Place]:
        """A place for the call until it has ended. timeout: seconds that its caller waits, None for ever.

        Raises BusyError when there is none, or it would be reached too late.
        """
        place = Place(self, call, caller)
        self._enter(place, timeout)
        try:
            yield place
        finally:
            self._leave(place)

    def start(self, place: Place) -> None:
        """Its work is done as soon as it is its turn; see Place.run."""
        with self._lock:
            self._line.ready(place.caller, place)
            if self._spare:
                self._spare -= 1
                return
        self._pool.submit(self._next)

    async def drain(self, grace: float) -> bool:
        """Wait for the calls, at most `grace` seconds; then take their places away. Whether all ended in time."""
        try:
            await asyncio.wait_for(self._idle.wait(), grace)
        except TimeoutError:
            error = NotReadyError("the server stops and this call took too long; ask another one, or try again shortly")
            with self._lock:
                places = [*self._line.waiting(), *self._running]
            for place in places:
                place.take_away(error)
            return False
        return True

    async def close(self, patience: float = math.inf) -> bool:
        """Drop what waits and wait for what runs, at most so many seconds; whether all of it ended."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        try:
            await asyncio.wait_for(self._idle.wait(), patience if math.isfinite(patience) else None)
        except TimeoutError:
            return False
        await asyncio.to_thread(self._pool.shutdown)
        return True

    def _enter(self, place: Place, timeout: float | None) -> None:
        with self._lock:
            full = len(self._line) + len(self._running) >= self._room
            displaced = self._line.displaced_by(place.caller) if full else None
            if full and displaced is None:
                raise self._full()
            self._check_wait(place, timeout)
            if displaced is not None:
                self._spare += self._line.leave(displaced.caller, displaced)
            self._line.join(place.caller, place)
        self._idle.clear()
        if displaced is not None:
            displaced.take_away(self._full())

    def _leave(self, place: Place) -> None:
        with self._lock:
            self._spare += self._line.leave(place.caller, place)
            idle = not self._line and not self._running
        if idle:
            self._idle.set()

    def _next(self) -> None:
        """In a thread: the work of whoever's turn it is."""
        with self._lock:
            place = self._line.next()
            if place is None:  # whoever this run was for has gone
                self._spare -= 1
                return
            place.started = True
            self._running.add(place)
        outcome = _outcome(place)
        place.loop.call_soon_threadsafe(self._finished, place, *outcome)

    def _finished(self, place: Place, value: Any, error: BaseException | None, seconds: float | None) -> None:
        with self._lock:
            self._running.discard(place)
            idle = not self._line and not self._running
        if seconds is not None:
            self._mean = seconds if self._mean is None else self._mean + (seconds - self._mean) / MEMORY
        place.answer(value, error)
        if idle:
            self._idle.set()

    def _check_wait(self, place: Place, timeout: float | None) -> None:
        """Raises BusyError for a call that would hardly have ended when its deadline passes: work that is begun too
        late is taken from those who still wait."""
        if timeout is None or self._mean is None or len(self._line) + len(self._running) < self._workers:
            return
        wait = self._mean * (self._line.ahead_of(place.caller) + 1) / self._workers
        if CAUTION * wait + self._mean > timeout:
            raise BusyError(
                f"about {wait:.1f} s of work wait before this call, and its deadline passes in {timeout:.1f} s; "
                "allow more time, or try again later",
                retry_after=_advice(wait),
            )

    def _full(self) -> BusyError:
        option, limit, allowed = self._told
        message = (
            f"{len(self._line) + len(self._running)} calls of this kind are running or waiting, as many as this server "
            f"takes{option}; try again later"
        )
        wait = 1.0 if self._mean is None else self._mean * (len(self._line) + 1) / self._workers
        return BusyError(message, retry_after=_advice(wait), limit=limit, allowed=allowed)


def _advice(wait: float) -> float:
    """Seconds after which to come back, in full tenths."""
    return math.ceil(min(max(wait, LEAST_WAIT_S), MOST_WAIT_S) * 10) / 10


def _outcome(place: Place) -> tuple[Any, BaseException | None, float | None]:
    """What the work returned or raised, and the seconds it took; None for work that was not begun."""
    begun = None
    try:
        place.call.check()
        begun = time.perf_counter()
        value, error = place.work(), None
    except BaseException as raised:
        value, error = None, raised
    return value, error, None if begun is None else time.perf_counter() - begun
