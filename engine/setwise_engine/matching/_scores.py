"""Every score of two sets, defined."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from setwise_engine.errors import InvalidInput
from setwise_engine.matching._affinity import affinity, squares
from setwise_engine.matching._ranking import no_check
from setwise_engine.matching._solve import assign
from setwise_engine.matching._strips import strips
from setwise_engine.matching._types import Floats, Half, Kernel

__all__ = [
    "containment",
    "cosines",
    "divided",
    "maxsim",
    "pooled",
    "score",
    "spatio_semantic",
    "weighted_cosines",
    "within_one",
]


def score(matched_sum: float, *, q_square: float, x_square: float, kernel: Kernel, sigma: float) -> float:
    """One reading of a matched sum L (Wald et al. 2024, section 3).

    q_square, x_square: squared Frobenius norms of the sets. sigma: width of the RBF kernel, not negative; 0 means the
    limit, which is 1 for equal sets and 0 for all others. Never falls when L grows, so that a bound of L bounds the
    score. A cosine with a zero set is 0. Raises InvalidInput for Kernel.CONTAINMENT, which reads a matching of its own.
    """
    if kernel is Kernel.COSINE:
        return _cosine(matched_sum, q_square, x_square)
    if kernel is Kernel.INNER_PRODUCT:
        return matched_sum
    if kernel is Kernel.RBF:
        return _rbf(matched_sum, q_square, x_square, sigma)
    raise InvalidInput(
        f"kernel {kernel!s} does not read the matched sum; ask for cosine, inner_product or rbf", field="kernel"
    )


def divided(total: float, q_square: float, x_square: float) -> float:
    """total / (|Q| |X|), or 0 when a norm is 0. One root of the product, so that a set with itself gives exactly 1."""
    norms = math.sqrt(q_square * x_square)
    return total / norms if norms else 0.0


def _cosine(matched_sum: float, q_square: float, x_square: float) -> float:
    # Cauchy-Schwarz holds for the exact values; rounding may step over it by a unit in the last place.
    return min(1.0, max(-1.0, divided(matched_sum, q_square, x_square)))


def _rbf(matched_sum: float, q_square: float, x_square: float, sigma: float) -> float:
    distance = max(0.0, q_square + x_square - 2.0 * matched_sum)
    width = 2.0 * sigma * sigma
    if width == 0.0:
        return float(distance == 0.0)
    return math.exp(-distance / width)


def maxsim(A: Floats) -> tuple[float, float]:
    """Sums of every row's and of every column's largest affinity: MaxSim of the query and of the hit.

    A: (n, m) float64. Both 0 for an empty matrix. The sum over the smaller side is an upper bound of the matched sum.
    """
    if A.size == 0:
        return 0.0, 0.0
    return math.fsum(A.max(axis=1)), math.fsum(A.max(axis=0))


def pooled(q: Half, x: Half) -> float:
    """Cosine of the mean vectors of two sets, in [-1, 1]; 0 when one of them is zero or a set is empty.

    q: (n, d) float16; x: (m, d) float16. Sums stand in for means, which point the same way; up to 8192 tokens
    they are exact.
    """
    a, b = q.astype(np.float64).sum(axis=0), x.astype(np.float64).sum(axis=0)
    return _cosine(math.fsum(a * b), math.fsum(a * a), math.fsum(b * b))


def containment(q: Half, x: Half) -> float:
    """How much of Q is found in X: max over matchings p of sum_i w_i cos(q_i, x_p(i)), w_i = |q_i|^2 / |Q|^2.

    q: (n, d) float16; x: (m, d) float16. Returns a number in [-1, 1]. Made for n <= m. For n > m only m tokens of Q
    find a partner: the sum runs over the min(n, m) pairs of the best matching while the weights stay those of the whole
    of Q. Zero tokens and zero sets give 0.
    """
    return within_one(assign(weighted_cosines(affinity(q, x), squares(q), squares(x))).value)


def within_one(value: float) -> float:
    """A matched sum of weighted cosines as a score: rounded shares of a whole may add up to a hair more."""
    return min(1.0, max(-1.0, value))


def weighted_cosines(A: Floats, q_squares: Floats, x_squares: Floats, check: Callable[[], None] = no_check) -> Floats:
    """The terms of containment, w_i cos(q_i, x_j), to the nearest multiple of 2^-52: so that their sums are exact.

    A: (n, m) affinities; q_squares: (n,), x_squares: (m,), the tokens' squared norms. Returns (n, m) float64, within
    [-1, 1]; zeros for a zero set.
    """
    total = math.fsum(q_squares)
    if total == 0.0:
        return np.zeros_like(A)
    weighted = np.empty_like(A)
    weights = (q_squares / total)[:, None]
    for rows in strips(*A.shape, check=check, effort=4):
        here = cosines(A[rows], q_squares[rows, None], x_squares) * weights[rows]
        weighted[rows] = np.rint(here * 2.0**52) * 2.0**-52 + 0.0  # + 0.0: never -0.0
    return weighted


def spatio_semantic(A: Floats, q_square: float, x_square: float) -> float:
    """Cosine of two sets of equal grids with every token matched to the one at its own position; A: (n, n)."""
    return _cosine(math.fsum(A.diagonal()), q_square, x_square)


def cosines(A: Floats, q_squares: Floats, x_squares: Floats) -> Floats:
    """Inner products of tokens to cosines in [-1, 1], by the tokens' squared norms; 0 where a token is zero."""
    norms = np.sqrt(q_squares * x_squares)
    divided: Floats = np.divide(A, norms, out=np.zeros_like(A), where=norms > 0.0)
    return np.clip(divided, -1.0, 1.0)
