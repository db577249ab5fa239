"""A bounded queue between threads that can end and can be stopped."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

__all__ = ["Channel", "Stopped"]

T = TypeVar("T")


class Stopped(Exception):
    """The channel was stopped; whoever waits on it should return."""


class Channel(Generic[T]):
    """At most `capacity` values wait between `producers` threads and any number of takers.

    `queue.Queue` has neither an end nor a way to wake those who wait (before Python 3.13), nor takes batches.
    """

    def __init__(self, capacity: int, producers: int) -> None:
        self._values: deque[T] = deque()
        self._capacity, self._producers, self._stopped = capacity, producers, False
        self._changed = threading.Condition()

    def put(self, value: T) -> None:
        """Add a value; waits while the channel is full. Raises Stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._values) < self._capacity)
            self._check()
            self._values.append(value)
            self._changed.notify_all()

    def take(self, count: int = 1) -> list[T]:
        """The next `count` values (at most the capacity), fewer or none once all producers are done. Raises Stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._values) >= count or not self._producers)
            self._check()
            taken = [self._values.popleft() for _ in range(min(count, len(self._values)))]
            self._changed.notify_all()
            return taken

    def done(self) -> None:
        """One producer has put its last value."""
        with self._changed:
            self._producers -= 1
            self._changed.notify_all()

    def stop(self) -> None:
        """Wake everyone who waits; from now on every call raises Stopped."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _check(self) -> None:
        if self._stopped:
            raise Stopped
