"""A matching of largest sum in numpy alone, which can be stopped: for matrices that scipy takes long over in one call.

Shortest augmenting paths (Jonker and Volgenant 1987; Crouse 2016) from the prices of `engine/kernel/prices.hpp`: half
of every column's maximum, made feasible. In float64, so that `reference.proven` has the last word. From 2000 tokens on
it is faster than scipy as well (docs/decisions/0117).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from setwise_engine.matching._strips import strips
from setwise_engine.matching._types import Floats, Indices

__all__ = ["augmented"]

_SCANS = 64  # rows that are looked at between two checks


def augmented(A: Floats, check: Callable[[], None]) -> Indices:
    """The column of each row of A, (n, m) with n <= m. check: called every few milliseconds; may raise."""
    search = _Search(A, _start(A, check), check)
    for i in np.flatnonzero(search.column < 0).tolist():
        search.augment(i)
    return search.column


def _start(A: Floats, check: Callable[[], None]) -> Floats:
    """Feasible prices of the columns. Those of a rectangle begin at 0, where unmatched columns must end."""
    n, m = A.shape
    if n < m:
        return np.zeros(m)
    half = np.full(m, -np.inf)
    for rows in strips(n, m, check=check):
        np.maximum(half, 0.5 * A[rows].max(axis=0), out=half)
    prices = np.full(m, -np.inf)
    for rows in strips(n, m, check=check):
        highest = (A[rows] - half).max(axis=1, initial=-np.inf)
        np.maximum(prices, (A[rows] - highest[:, None]).max(axis=0), out=prices)
    return prices


class _Search:
    """A matching on its way: `column` of each row and `owner` of each column, -1 for none, and the columns' prices."""

    def __init__(self, A: Floats, prices: Floats, check: Callable[[], None]) -> None:
        n, m = A.shape
        self._A, self._prices, self._check = A, prices, check
        self.column, self.owner = np.full(n, -1, np.intp), np.full(m, -1, np.intp)
        for rows in strips(n, m, check=check):
            for i, j in zip(range(rows.start, rows.stop), (A[rows] - prices).argmax(axis=1).tolist(), strict=True):
                if self.owner[j] < 0:
                    self.owner[j], self.column[i] = i, j

    def augment(self, start: int) -> None:
        """Gives one more row a column: Dijkstra's search from it to the nearest free column."""
        A, prices = self._A, self._prices
        open_distance = prices - A[start]  # infinite for scanned columns
        before = np.full(len(prices), start, np.intp)
        scanned: list[int] = []
        distances: list[float] = []
        while True:
            j = int(open_distance.argmin())
            nearest = float(open_distance[j])
            i = int(self.owner[j])
            if i < 0:
                break
            if len(scanned) % _SCANS == 0:
                self._check()
            scanned.append(j)
            distances.append(nearest)
            reached = prices - A[i]
            reached += nearest - reached[j]
            reached[scanned] = np.inf
            open_distance[j] = np.inf
            closer = reached < open_distance
            open_distance[closer] = reached[closer]
            before[closer] = i
        prices[scanned] += nearest - np.array(distances)
        self._flip(before, start, j)

    def _flip(self, before: Indices, start: int, j: int) -> None:
        while True:
            i = int(before[j])
            left = int(self.column[i])
            self.owner[j], self.column[i] = i, j
            if i == start:
                return
            j = left
