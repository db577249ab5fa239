"""Keeps a flood of like events from flooding the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

__all__ = ["Damper"]


@dataclass(slots=True)
class _Window:
    begun: float
    told: int = 0
    untold: int = 0


class Damper:
    """At most `most` events of a kind in a second are told; the next one that is tells how many were not.

    Kinds are kept for ever: they must be few. For one thread.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._windows: dict[Hashable, _Window] = {}

    def let(self, kind: Hashable) -> int | None:
        """How many events of this kind went untold before this one; None when this one is not to be told either."""
        now = self._clock()
        window = self._windows.get(kind)
        if window is None:
            window = self._windows[kind] = _Window(now)
        elif now - window.begun >= 1:
            window.begun, window.told = now, 0
        if window.told >= self._most:
            window.untold += 1
            return None
        window.told += 1
        untold, window.untold = window.untold, 0
        return untold
