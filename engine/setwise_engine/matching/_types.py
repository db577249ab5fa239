"""What the matching speaks of: kernels, assignments, scores and matches."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["Assignment", "Floats", "Half", "Indices", "Kernel", "Match", "Scores"]

Half = NDArray[np.float16]
Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


class Kernel(StrEnum):
    """Which reading of the optimal matching ranks; L is the matched sum and |X| the Frobenius norm of a set.

    COSINE: L / (|Q| |X|), in [-1, 1].
    INNER_PRODUCT: L.
    RBF: exp(-(|Q|^2 + |X|^2 - 2 L) / (2 sigma^2)), in [0, 1].
    CONTAINMENT: a matching of its own, see `containment`.
    """

    COSINE = "cosine"
    INNER_PRODUCT = "inner_product"
    RBF = "rbf"
    CONTAINMENT = "containment"


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """An optimal one-to-one matching of an affinity matrix A of shape (n, m), with the prices that prove it.

    rows, columns: (p,) intp, p = min(n, m); row rows[k] is matched with column columns[k], rows ascending.
    value: the matched sum L, the sum of A over the pairs.
    row_prices: (n,) float64 u; column_prices: (m,) float64 v, with u_i + v_j >= A_ij everywhere. For n < m also
    v >= 0 with v_j = 0 on unmatched columns; for n > m the mirror image; for n = m the signs are free.
    gap: sum u + sum v - L, which is 0 but for rounding exactly when the matching is optimal.
    """

    rows: Indices
    columns: Indices
    value: float
    row_prices: Floats
    column_prices: Floats
    gap: float


@dataclass(frozen=True, slots=True)
class Scores:
    """Every score of one pair of sets, from one affinity matrix; 0 where a norm to divide by is 0.

    cosine, inner_product, rbf: the three readings of the optimal matching.
    spatio_semantic: the cosine with every token matched to the one at its own position; None unless grids are equal.
    maxsim_query, maxsim_hit: sum over the query's (the hit's) tokens of their best affinity, divided like the cosine.
    pooled: cosine of the two mean vectors.
    containment: how much of the query is found in the hit, by a matching of its own; None unless it was asked for.
    """

    cosine: float
    inner_product: float
    rbf: float
    spatio_semantic: float | None
    maxsim_query: float
    maxsim_hit: float
    pooled: float
    containment: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Which token of a query was matched with which of a hit, strongest affinity first.

    rows, columns: (p,) intp, tokens of the query and of the hit, p = min(n, m).
    affinities: (p,) float64, inner products of the pairs; cosines: (p,) float64 in [-1, 1], 0 for a zero token.
    scores: every score of the two sets.
    """

    rows: Indices
    columns: Indices
    affinities: Floats
    cosines: Floats
    scores: Scores
