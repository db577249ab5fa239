"""Checking that a matching is optimal, in O(n m), without solving anything."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from setwise_engine.errors import InvalidInput
from setwise_engine.matching._types import Assignment, Floats, Indices
from setwise_engine.matching.reference import LARGEST, checked

__all__ = ["verify"]

_SMALLEST = 2.0**-1074
_LARGEST_PRICE = 100 * LARGEST  # an optimum's prices stay below 3 max|A|; sums of these do not overflow


def verify(A: ArrayLike, assignment: Assignment, *, tolerance: float | None = None) -> None:
    """Accept `assignment` as an optimal matching of A, or raise InvalidInput that says what is wrong with it.

    A: (n, m), finite. By weak duality no matching is worth more than sum u + sum v when u_i + v_j >= A_ij everywhere
    and, for n < m, v >= 0 (mirrored for n > m); so a matching worth that much is optimal.
    tolerance: how far one price may be off. The default, 16 s 2^-53 max|A| with s = min(n, m), covers prices summed
    along alternating paths in float64: a path has at most s edges, optimality bounds every partial sum by 2 max|A|, and
    each edge rounds twice; it is at least the smallest float64, 2^-1074, to which prices of subnormal affinities round.
    It never depends on the prices offered, so large ones buy no leniency. Sums may be off by n + m times as much.
    """
    matrix = checked(A)
    scale = float(np.abs(matrix).max(initial=0.0))
    if tolerance is None:
        tolerance = max(16 * min(matrix.shape) * 2.0**-53 * scale, _SMALLEST)
    _check_shapes(matrix, assignment)
    _check_matching(matrix, assignment)
    _check_value(matrix, assignment, tolerance)
    _check_feasible(matrix, assignment, tolerance)
    _check_signs(matrix, assignment, tolerance)
    _check_gap(matrix, assignment, tolerance)


def _refuse(what: str) -> InvalidInput:
    return InvalidInput(f"this is no proof of an optimal matching: {what}; solve it again", field="assignment")


def _check_shapes(A: Floats, a: Assignment) -> None:
    n, m = A.shape
    for name, prices, size in (("row", a.row_prices, n), ("column", a.column_prices, m)):
        if not isinstance(prices, np.ndarray) or prices.dtype.kind != "f" or prices.shape != (size,):
            raise _refuse(f"{name} prices must be {size} floating-point numbers, not {_kind(prices)}")
        if not (np.abs(prices) <= _LARGEST_PRICE).all():
            raise _refuse(f"a {name} price is NaN or beyond {_LARGEST_PRICE:g}")
    for name, number in (("value", a.value), ("gap", a.gap)):
        if not isinstance(number, (int, float)) or not math.isfinite(number):
            raise _refuse(f"the {name} is {number!r}, which is no finite number")


def _kind(array: object) -> str:
    return f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__


def _check_matching(A: Floats, a: Assignment) -> None:
    pairs = min(A.shape)
    for name, indices, size in (("row", a.rows, A.shape[0]), ("column", a.columns, A.shape[1])):
        if not isinstance(indices, np.ndarray) or indices.dtype.kind not in "iu" or indices.shape != (pairs,):
            raise _refuse(f"{name}s must be {pairs} integers, not {_kind(indices)}")
        if pairs and (indices.min() < 0 or indices.max() >= size):
            raise _refuse(f"a {name} lies outside [0, {size})")
        if len(np.unique(indices)) != pairs:
            raise _refuse(f"a {name} is matched twice")


def _check_value(A: Floats, a: Assignment, tolerance: float) -> None:
    value = math.fsum(A[a.rows, a.columns])
    if abs(value - a.value) > sum(A.shape) * tolerance:
        raise _refuse(f"its pairs are worth {value!r}, not {a.value!r}")


def _check_feasible(A: Floats, a: Assignment, tolerance: float) -> None:
    short = A - (a.row_prices[:, None] + a.column_prices)
    if short.max(initial=0.0) > tolerance:
        i, j = np.unravel_index(int(short.argmax()), short.shape)
        raise _refuse(f"the prices of row {i} and column {j} do not cover their affinity {A[i, j]!r}")


def _check_signs(A: Floats, a: Assignment, tolerance: float) -> None:
    n, m = A.shape
    if n < m:
        _check_larger_side("column", a.column_prices, a.columns, tolerance)
    elif n > m:
        _check_larger_side("row", a.row_prices, a.rows, tolerance)


def _check_larger_side(name: str, prices: Floats, matched: Indices, tolerance: float) -> None:
    if prices.min(initial=0.0) < -tolerance:
        raise _refuse(f"{name} {int(prices.argmin())} has a negative price")
    free = np.abs(prices)
    free[matched] = 0.0
    if free.max(initial=0.0) > tolerance:
        raise _refuse(f"{name} {int(free.argmax())} is unmatched but has a price")


def _check_gap(A: Floats, a: Assignment, tolerance: float) -> None:
    gap = math.fsum([*a.row_prices, *a.column_prices, *-A[a.rows, a.columns]])
    allowed = sum(A.shape) * tolerance
    if abs(gap - a.gap) > allowed:
        raise _refuse(f"the gap is {gap!r}, not {a.gap!r}")
    if abs(gap) > allowed:
        raise _refuse(f"the prices leave a gap of {gap!r}, so a better matching may exist")
