"""Who waits for a thread: each caller's calls in the order they came, and the callers in turn."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

__all__ = ["Line"]

T = TypeVar("T")


class Line(Generic[T]):
    """Calls by caller: all that wait, and of those the ones that are ready to run. Not thread-safe.

    A call waits from the moment it has its place; it is ready once its request has been read.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[T, None]] = {}  # dicts keep their order, and give up a member at once
        self._ready: dict[str, deque[T]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def join(self, caller: str, call: T) -> None:
        """One more waits, and is not ready yet."""
        self._waiting.setdefault(caller, {})[call] = None
        self._count += 1

    def ready(self, caller: str, call: T) -> None:
        """One that waits can run."""
        self._ready.setdefault(caller, deque()).append(call)

    def next(self) -> T | None:
        """The first of those that are ready, who waits no more; its caller's next has its turn after all others'."""
        if not self._ready:
            return None
        caller = next(iter(self._ready))
        calls = self._ready.pop(caller)
        call = calls.popleft()
        if calls:
            self._ready[caller] = calls
        self._forget(caller, call)
        return call

    def leave(self, caller: str, call: T) -> bool:
        """One who waited does so no more; whether it was ready. False, too, for one who did not wait."""
        if call not in self._waiting.get(caller, ()):
            return False
        self._forget(caller, call)
        calls = self._ready.get(caller)
        if calls is None or call not in calls:
            return False
        calls.remove(call)
        if not calls:
            del self._ready[caller]
        return True

    def displaced_by(self, caller: str) -> T | None:
        """Who must go when this caller wants a place and there is none: the newest of whoever has the most places, if
        that is one who would have more than this caller even then; else nobody."""
        if not self._waiting:
            return None
        most = max(self._waiting.values(), key=len)
        own = len(self._waiting.get(caller, ()))
        return next(reversed(most)) if len(most) > own + 1 else None

    def ahead_of(self, caller: str) -> int:
        """How many would run before the next call of this caller, with callers in turn."""
        turn = len(self._waiting.get(caller, ())) + 1
        return sum(min(len(calls), turn) for calls in self._waiting.values())

    def waiting(self) -> list[T]:
        """All that wait."""
        return [call for calls in self._waiting.values() for call in calls]

    def _forget(self, caller: str, call: T) -> None:
        calls = self._waiting[caller]
        del calls[call]
        self._count -= 1
        if not calls:
            del self._waiting[caller]
