"""The definition of every result: affinity, optimal assignment and its prices, in numpy and scipy.

Slow and readable on purpose; faster kernels are tested against this file. Notation: Q holds n tokens, X holds m,
A = Q X^T, and L = max over one-to-one matchings p of sum_i A[i, p(i)] with min(n, m) pairs.

Sources: Wald et al., "Decoupling Semantic Similarity from Spatial Alignment for Neural Networks", NeurIPS 2024 (the
similarity); Crouse, "On implementing 2D rectangular assignment algorithms", IEEE TAES 2016 (scipy's solver); Burkard,
Dell'Amico and Martello, "Assignment Problems", SIAM 2009, chapter 4 (duality).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from setwise_engine.errors import FeatureError, InvalidInput
from setwise_engine.matching._augment import augmented
from setwise_engine.matching._integers import floats, integers, optimum
from setwise_engine.matching._ranking import no_check
from setwise_engine.matching._strips import strips
from setwise_engine.matching._types import Assignment, Floats, Half, Indices

__all__ = [
    "LARGEST",
    "affinity",
    "assign",
    "checked",
    "matched_sum",
    "mirrored",
    "proven",
    "square",
    "squares",
    "upper_bound",
]

# A float16 number is an integer k times 2^-24 with |k| < 2^40. With k = 2^20 h + l, |h| <= 2^20 and |l| <= 2^19,
# products of two such digits are integers of at most 2^40, and float64 adds up 2^12 of them exactly.
_BLOCK = 1 << 12

_LARGE = 1 << 19  # entries with which scipy's solver, which cannot be stopped, takes some 30 ms

LARGEST = 1e300
"""No entry of an affinity to assign may be larger: sums of prices stay finite."""


def affinity(q: Half, x: Half) -> Floats:
    """Inner products of all pairs of tokens, A = Q X^T: exact, each rounded once to float64.

    q: (n, d) float16; x: (m, d) float16; finite. Returns (n, m) float64. Sums that are rounded once do not depend on
    the order of their terms, nor therefore on threads, batches, instruction sets or libraries.
    Raises FeatureError when the two differ in d.
    """
    if q.shape[1] != x.shape[1]:
        raise FeatureError(
            f"one set has tokens of {q.shape[1]} dimensions and the other of {x.shape[1]}; compare sets of one encoder",
            field="tokens",
        )
    parts: list[Floats] = [np.zeros((len(q), len(x)))]
    for first in range(0, q.shape[1], _BLOCK):
        (a, b), (c, d) = (_digits(tokens[:, first : first + _BLOCK]) for tokens in (q, x))
        parts += [a @ c.T * 2.0**-8, (a @ d.T + b @ c.T) * 2.0**-28, b @ d.T * 2.0**-48]
    return _rounded_once(parts)


def squares(tokens: Half) -> Floats:
    """Squared norms of tokens, (n, d) float16 to (n,) float64: the diagonal of their affinity with themselves."""
    parts: list[Floats] = [np.zeros(len(tokens))]
    for first in range(0, tokens.shape[1], _BLOCK):
        a, b = _digits(tokens[:, first : first + _BLOCK])
        sums = (np.einsum("nd,nd->n", *pair) for pair in ((a, a), (a, b), (b, b)))
        parts += [total * scale for total, scale in zip(sums, (2.0**-8, 2.0**-27, 2.0**-48), strict=True)]
    return _rounded_once(parts)


def square(tokens: Half) -> float:
    """Squared Frobenius norm of a set, (n, d) float16: the sum of its tokens' squares, rounded once."""
    return math.fsum(squares(tokens))


def assign(A: ArrayLike, check: Callable[[], None] = no_check) -> Assignment:
    """The matching of largest sum, with the prices that prove it: exact, whatever solver, machine or order found it.

    A: (n, m) real numbers, finite, at most 1e300; n or m may be 0. Raises InvalidInput for anything else.
    With |A| < 2^e, entries count as multiples of 2^(e - 97), to the nearest, ties to even: every float64 from
    2^(e - 45) up is one already, and affinities of float16 tokens of norms below 2^24 all are. The matching is
    optimal in integers, and its value is their exact sum, rounded once. The prices are least among those that prove
    it with v >= 0 (u >= 0 for n > m), rounded once. Of several optimal matchings any may be returned.
    check: called every few milliseconds; what it raises ends the call.
    """
    matrix = checked(A, check)
    if matrix.shape[0] > matrix.shape[1]:
        return mirrored(assign(matrix.T, check))
    if matrix.size > _LARGE:
        return proven(matrix, augmented(matrix, check), check)
    from scipy.optimize import linear_sum_assignment  # a third of a second to import; native paths go without

    return proven(matrix, linear_sum_assignment(matrix, maximize=True)[1], check)


def matched_sum(q: NDArray[np.float32], x: NDArray[np.float32]) -> tuple[float, float]:
    """The matched sum of two sets of float32 tokens, (n, d) and (m, d), and its gap: no matching exceeds both together.

    Inner products in float64, scipy's matching of them, and prices as lengths of the longest paths of moves, in float64
    too. The gap covers the rounding of inner products, d 2^-53 |q| |x| each (Higham, "Accuracy and Stability", 3.1).
    """
    if len(q) > len(x):
        return matched_sum(x, q)
    if len(q) == 0:
        return 0.0, 0.0
    from scipy.optimize import linear_sum_assignment

    left, right = q.astype(np.float64), x.astype(np.float64)
    A = left @ right.T
    rows, columns = linear_sum_assignment(A, maximize=True)
    value = math.fsum(A[rows, columns])
    v = _path_lengths(A, columns)
    bound = math.fsum([*(A - v).max(axis=1), *v])
    slack = 2.0 * (q.shape[1] + 8) * 2.0**-53 * float(np.linalg.norm(left)) * float(np.linalg.norm(right))
    return value, max(0.0, bound - value) + slack


def _path_lengths(A: Floats, columns: Indices) -> Floats:
    """Column prices: the most that a chain of moves gains on its way to the column, 0 where a column is unmatched."""
    n, m = A.shape
    own = A[np.arange(n), columns]
    v = np.zeros(m)
    for _ in range(n):
        reached = (A + (v[columns] - own)[:, None]).max(axis=0)
        raised = v.copy()
        raised[columns] = np.maximum(v[columns], reached[columns])
        if np.array_equal(raised, v):
            break
        v = raised
    return v


def proven(A: Floats, columns: Indices, check: Callable[[], None] = no_check) -> Assignment:
    """The assignment that `assign` gives, from a matching to begin with; that one itself when it is optimal.

    A: (n, m) as `checked` gives it, n <= m. columns: (n,), different.
    """
    k, unit = integers(A, check)
    columns, v = optimum(k, columns, check)
    rows = np.arange(len(k))
    u = k[rows, columns] - v[columns]
    value = math.ldexp(float(sum(k[rows, columns].tolist())), unit)
    row_prices, column_prices = floats(u, unit), floats(v, unit)
    gap = math.fsum([*row_prices, *column_prices, *-A[rows, columns]])
    return Assignment(rows, columns, value, row_prices, column_prices, gap)


def upper_bound(A: Floats) -> float:
    """An upper bound of the matched sum of A: every token of the smaller side takes its best affinity (MaxSim).

    A: (n, m) float64. For n = m both sides bound, and the smaller sum is returned. Tokens of the larger side are not
    all matched, so their sum bounds nothing. 0 for an empty matrix. No slack is needed: the matched sum adds entries of
    the same A, both sums are rounded once, and rounding keeps order.
    """
    n, m = A.shape
    if n == 0 or m == 0:
        return 0.0
    by_rows = math.fsum(A.max(axis=1)) if n <= m else math.inf
    by_columns = math.fsum(A.max(axis=0)) if m <= n else math.inf
    return min(by_rows, by_columns)


def checked(A: ArrayLike, check: Callable[[], None] = no_check) -> Floats:
    """A as a float64 matrix of finite numbers of at most 1e300, so that no sum overflows; or InvalidInput."""
    try:
        given = np.asarray(A)
    except ValueError as error:
        raise InvalidInput(f"the affinity is no matrix: {error}; give equal rows", field="affinity") from error
    if given.ndim != 2:
        raise InvalidInput(f"the affinity has shape {given.shape}; give a matrix of shape (n, m)", field="affinity")
    if given.dtype.kind not in "fiub":
        raise InvalidInput(f"the affinity holds {given.dtype}; give real numbers, such as float64", field="affinity")
    with np.errstate(over="ignore", invalid="ignore"):
        matrix = given.astype(np.float64, copy=False)
        parts = (np.abs(matrix[rows]).max(initial=0.0) for rows in strips(*matrix.shape, check=check))
        largest = float(np.max(list(parts), initial=0.0))  # NaN if any of them is
    if not math.isfinite(largest):
        raise InvalidInput("the affinity holds NaN or infinity; every number must be finite", field="affinity")
    if largest > LARGEST:
        raise InvalidInput(
            f"the affinity holds numbers up to {largest:g}, whose sums may overflow; scale it to at most {LARGEST:g}",
            field="affinity",
        )
    return matrix


def _digits(tokens: Half) -> tuple[Floats, Floats]:
    """The integers h and l of every number: tokens = (2^20 h + l) 2^-24."""
    value = tokens.astype(np.float64)
    value *= 2.0**4
    high = np.rint(value)
    value -= high
    value *= 2.0**20
    return high, value


def _rounded_once(parts: list[Floats]) -> Floats:
    """The elementwise sum of arrays of equal shape, each sum rounded once."""
    total, rounded = parts[0].copy(), np.zeros(parts[0].shape, np.bool_)
    for part in parts[1:]:
        before = total
        total = before + part
        back = total - before
        rounded |= (before - (total - back)) + (part - back) != 0.0  # what the addition lost: Knuth's TwoSum
    terms = np.stack([part[rounded] for part in parts], axis=-1)
    total[rounded] = [math.fsum(some) for some in terms.tolist()]
    return total


def mirrored(a: Assignment) -> Assignment:
    """The assignment of the transposed matrix."""
    order = np.argsort(a.columns, kind="stable")
    return Assignment(a.columns[order], a.rows[order], a.value, a.column_prices, a.row_prices, a.gap)
