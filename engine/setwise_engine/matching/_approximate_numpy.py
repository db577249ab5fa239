"""Greedy and Sinkhorn matchings in numpy, where no native kernel computes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from setwise_engine.matching._types import Floats

__all__ = ["entropic_prices", "feasible", "greedy", "sinkhorn"]

_Columns = NDArray[np.int32]


def greedy(A: Floats) -> _Columns:
    """The column of each row, -1 for none, by rounds of mutual best.

    An entry that is the first in its row and in its column, in the order that greedy takes them, will be taken whatever
    comes before it; so all such pairs are taken at once, and what is left is a smaller problem of the same kind
    (Preis, "Linear time 1/2-approximation algorithm for maximum weighted matching in general graphs", STACS 1999).
    """
    columns = np.full(len(A), -1, np.int32)
    rows, free = np.arange(A.shape[0]), np.arange(A.shape[1])
    while A.size:
        best, mate = A.argmax(axis=1), A.argmax(axis=0)
        mutual = mate[best] == np.arange(len(rows))
        columns[rows[mutual]] = free[best[mutual]]
        left = np.ones(len(free), bool)
        left[best[mutual]] = False
        rows, free, A = rows[~mutual], free[left], A[~mutual][:, left]
    return columns


def sinkhorn(A: Floats, regularisation: float, iterations: int) -> tuple[_Columns, Floats, Floats]:
    """Columns of the rounded plan, and feasible row and column prices; `sinkhorn_batch` defines them."""
    n, m = A.shape
    if n > m:
        turned, v, u = sinkhorn(A.T, regularisation, iterations)
        columns = np.full(n, -1, np.int32)
        columns[turned] = np.arange(m)
        return columns, u, v
    if n == 0:
        return np.zeros(0, np.int32), np.zeros(0), np.zeros(m)
    u, v = feasible(A, entropic_prices(A, regularisation, iterations))
    return greedy(A - u[:, None] - v), u, v


def entropic_prices(A: Floats, regularisation: float, iterations: int) -> Floats:
    """Column prices v, (n, m) with n <= m to (m,): Sinkhorn's iterations in the log domain.

    They begin at n / 2m times every column's maximum: tokens of large norm are dear, and iterations are few.
    """
    n, m = A.shape
    eps = regularisation * float((A.max(axis=1) - A.mean(axis=1)).mean())
    most: Floats = A.max(axis=0)
    v: Floats = n / (2.0 * m) * (most if n == m else most.clip(min=0.0))
    if eps <= 0.0:
        return v
    eps = max(eps, 1e-7 * float(np.abs(A).max()))
    for _ in range(iterations):
        u = _soft_maximum(A - v, eps, axis=1)
        v = _soft_maximum(A - u[:, None], eps, axis=0)
        if n < m:
            v = np.maximum(v, 0.0)  # a column may stay free
    return v


def feasible(A: Floats, v: Floats) -> tuple[Floats, Floats]:
    """u_i = max_j (A_ij - v_j), then the least v for them, not below 0 when columns stay free."""
    u: Floats = (A - v).max(axis=1)
    least: Floats = (A - u[:, None]).max(axis=0)
    return u, least if A.shape[0] == A.shape[1] else least.clip(min=0.0)


def _soft_maximum(A: Floats, eps: float, axis: int) -> Floats:
    """eps log sum exp(A / eps)."""
    most = A.max(axis=axis, keepdims=True)
    total: Floats = np.exp((A - most) / eps).sum(axis=axis)
    return np.asarray(most.squeeze(axis) + eps * np.log(total))
