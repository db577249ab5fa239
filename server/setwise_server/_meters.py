"""What the networks have done since the server started, for whoever reports it."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Sequence

__all__ = ["Meters", "Tally"]

SIZES = (1, 2, 4, 8, 16, 32, 64)
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Tally:
    """Counts numbers by the least of `bounds` that is not below them. Thread-safe."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(self.bounds) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def add(self, number: float) -> None:
        """One more number."""
        place = bisect_left(self.bounds, number)
        with self._lock:
            self._counts[place] += 1
            self._sum += number

    def read(self) -> tuple[list[int], float]:
        """How many numbers fell under each bound alone, those above all of them last; and the sum of all numbers."""
        with self._lock:
            return self._counts[:], self._sum


class Meters:
    """images: of each forward pass; seconds: that each took. hits, misses: images that were asked with and whose set
    was or was not in the cache; cached_bytes: what it holds now. Thread-safe."""

    def __init__(self) -> None:
        self.images = Tally(SIZES)
        self.seconds = Tally(SECONDS)
        self.hits = 0
        self.misses = 0
        self.cached_bytes = 0
        self._lock = threading.Lock()

    def passed(self, images: int, seconds: float) -> None:
        """One forward pass, of so many images, took so long."""
        self.images.add(images)
        self.seconds.add(seconds)

    def looked_up(self, *, hit: bool) -> None:
        """The cache was asked for one image's set."""
        with self._lock:
            if hit:
                self.hits += 1
            else:
                self.misses += 1
