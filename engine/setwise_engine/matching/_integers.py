"""The assignment problem in integers, where an optimum is one for certain: part of `reference`, the definition."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.matching._ranking import no_check
from setwise_engine.matching._strips import strips
from setwise_engine.matching._types import Floats, Indices

__all__ = ["floats", "integers", "longest_paths", "optimum"]

_BITS = 97  # of the largest entry
_OBJECT_EFFORT = 32  # Python's own integers take as many times as long as floats


def integers(A: Floats, check: Callable[[], None] = no_check) -> tuple[NDArray[Any], int]:
    """A as integers k and an exponent, A = k 2^exponent but for the rounding that `assign` tells of.

    k is int64 where sums along every alternating path fit, else an array of Python's own integers.
    """
    exponent = math.frexp(max(float(A.max(initial=0.0)), -float(A.min(initial=0.0))))[1] - _BITS
    # A path has at most min(n, m) edges, each of at most twice the largest entry, and one more is tried.
    excess = _BITS + (2 * min(A.shape) + 2).bit_length() - 62
    small = np.empty(A.shape, np.int64)
    for rows in strips(*A.shape, check=check):
        units = np.ldexp(np.rint(np.ldexp(A[rows], -exponent)), -excess)
        if not np.array_equal(units, np.rint(units)):
            return _large(A, exponent, check), exponent
        small[rows] = units
    return small, exponent + excess


def _large(A: Floats, exponent: int, check: Callable[[], None]) -> NDArray[Any]:
    k = np.empty(A.shape, object)
    for rows in strips(*A.shape, check=check, effort=_OBJECT_EFFORT):
        k[rows] = np.frompyfunc(int, 1, 1)(np.rint(np.ldexp(A[rows], -exponent)))
    return k


def floats(k: NDArray[Any], exponent: int) -> Floats:
    """k 2^exponent, each rounded once."""
    return np.ldexp(np.array([float(one) for one in k.tolist()], dtype=np.float64), exponent)


def optimum(k: NDArray[Any], columns: Indices, check: Callable[[], None] = no_check) -> tuple[Indices, NDArray[Any]]:
    """An optimal matching of integers k, (n, m) with n <= m, and the columns' least prices; `columns` is a good start.

    scipy sums in float64, so what it finds may miss the optimum by a little. It is optimal when no row can gain by a
    chain of moves (a cycle, or a path to an unmatched column); each such chain found makes the matching better.
    """
    better: Indices | None = columns.astype(np.intp)
    while better is not None:
        columns = better
        v, better = longest_paths(k, columns, check)
    return columns, v


def longest_paths(
    k: NDArray[Any], columns: Indices, check: Callable[[], None] = no_check
) -> tuple[NDArray[Any], Indices | None]:
    """The least non-negative prices under which every row likes its own column best, or else a better matching.

    v_j = longest path to column j, where the edge from the column of row i to column j has length k_ij - k_i,p(i): what
    row i gains by moving. An optimal matching has no cycle of positive length nor a path of positive length to an
    unmatched column, so Bellman-Ford ends within n rounds and unmatched columns stay at 0. Otherwise the edges by which
    columns were last reached close a cycle within m rounds, and every such cycle is positive (Cherkassky and Goldberg,
    "Negative-cycle detection algorithms", Mathematical Programming 85, 1999).
    """
    n, m = k.shape
    v = np.zeros(m, dtype=k.dtype)
    if n == 0:
        return v, None
    own = k[np.arange(n), columns]
    mover = np.full(m, -1, dtype=np.intp)  # the row that moves to column j at the end of its path
    unmatched = np.ones(m, dtype=bool)
    unmatched[columns] = False
    while True:
        check()
        lengths, best = _longest(k, v[columns] - own, check)
        longer = (lengths > v).astype(bool)
        if not longer.any():
            return v, None
        v, mover = np.where(longer, lengths, v), np.where(longer, best, mover)
        better = _better(columns, mover, np.flatnonzero(longer & unmatched))
        if better is not None:
            return v, better


def _longest(k: NDArray[Any], starts: NDArray[Any], check: Callable[[], None]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The largest starts_i + k_ij of every column j, and the first row i that has it. k: (n, m), n > 0."""
    n, m = k.shape
    lengths, best = k[0] + starts[0], np.zeros(m, np.intp)
    for rows in strips(n, m, check=check, effort=_OBJECT_EFFORT if k.dtype == object else 1):
        reach = k[rows] + starts[rows, None]
        here = reach.argmax(axis=0)
        most = reach[here, np.arange(m)]
        more = (most > lengths).astype(bool)
        lengths, best = np.where(more, most, lengths), np.where(more, here + rows.start, best)
    return lengths, best


def _better(columns: Indices, mover: Indices, gained: Indices) -> Indices | None:
    """The matching after every move along a cycle, or along the path to a column of `gained`; None if there is none."""
    m = len(mover)
    step = np.append(np.where(mover < 0, m, columns[mover]), m)  # the column left for column j; m where a path begins
    far = step
    for _ in range(m.bit_length()):
        far = far[far]
    on_cycle = np.unique(far[far < m])  # who still walks after m steps is on a cycle; every such column is met
    if len(on_cycle) == 0 and len(gained) == 0:
        return None
    moved = columns.copy()
    if len(on_cycle):
        moved[mover[on_cycle]] = on_cycle
        return moved
    j = int(gained[0])
    while mover[j] >= 0:
        moved[mover[j]] = j
        j = int(step[j])
    return moved
