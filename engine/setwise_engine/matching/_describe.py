"""One query beside many sets whose matchings are known: every score, and the matched tokens."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching import _scores
from setwise_engine.matching._affinity import affinity, squares
from setwise_engine.matching._canonical import settled
from setwise_engine.matching._ranking import no_check
from setwise_engine.matching._sets import half
from setwise_engine.matching._types import Assignment, Floats, Indices, Kernel, Match, Scores

__all__ = ["Describer"]

Prices = tuple[Floats, Floats]
"""Row prices (n,) and column prices (m,) of a matching."""


class Describer:
    """Describes sets beside one query; what depends on the query alone is computed once."""

    def __init__(self, query: FeatureSet, *, sigma: float) -> None:
        self._query = query
        self._q = half(query)
        self._squares = squares(self._q)
        self._square = math.fsum(self._squares)
        self._sigma = sigma

    def match(
        self,
        x: FeatureSet,
        columns: NDArray[np.int32],
        prices: Prices | None,
        *,
        matched_sum: float,
        containment: float | None = None,
        check: Callable[[], None] = no_check,
    ) -> Match:
        """Every score of the query and x, and their matched tokens, those that add most first.

        columns: (n,), the token of x that each query token is matched with, -1 for none; empty where only scores are
        of interest. prices: (n,) and (m,), which prove it: of several optimal matchings the first is shown, whichever
        was found. None: `columns` is shown. matched_sum: L.
        containment: given when `columns` is that kernel's matching; pairs are then ordered by their weighted cosines.
        check: called every few milliseconds; what it raises ends the call.
        """
        tokens = half(x)
        A = affinity(self._q, tokens, check)
        x_squares = squares(tokens)
        rows, matched = _pairs(columns)
        if prices is not None and len(columns):
            terms = A if containment is None else _scores.weighted_cosines(A, self._squares, x_squares, check)
            solved = settled(terms, columns, prices, least=False, check=check)
            rows, matched = solved.rows, solved.columns
        affinities: Floats = A[rows, matched]
        cosines = _scores.cosines(affinities, self._squares[rows], x_squares[matched])
        added = affinities if containment is None else cosines * self._squares[rows]
        order: Indices = np.lexsort((rows, -added))
        scores = self._scores(x, A, matched_sum, math.fsum(x_squares), containment)
        return Match(rows[order], matched[order], affinities[order], cosines[order], scores)

    def proof(
        self,
        x: FeatureSet,
        columns: NDArray[np.int32],
        prices: Prices,
        *,
        contained: bool,
        check: Callable[[], None] = no_check,
    ) -> Assignment:
        """The first optimal matching of the query and x and the least prices that prove it: the same on every path.

        columns, prices: as for `match`, as they were found. contained: whether under the containment kernel.
        """
        tokens = half(x)
        A = affinity(self._q, tokens, check)
        terms = _scores.weighted_cosines(A, self._squares, squares(tokens), check) if contained else A
        return settled(terms, columns, prices, least=True, check=check)

    def _scores(self, x: FeatureSet, A: Floats, L: float, x_square: float, containment: float | None) -> Scores:
        norms = {"q_square": self._square, "x_square": x_square}
        cosine, inner_product, rbf = (
            _scores.score(L, **norms, kernel=kernel, sigma=self._sigma)
            for kernel in (Kernel.COSINE, Kernel.INNER_PRODUCT, Kernel.RBF)
        )
        by_query, by_hit = _scores.maxsim(A)
        same_grid = self._query.grid is not None and self._query.grid == x.grid
        return Scores(
            cosine=cosine,
            inner_product=inner_product,
            rbf=rbf,
            spatio_semantic=_scores.spatio_semantic(A, **norms) if same_grid else None,
            maxsim_query=_scores.divided(by_query, **norms),
            maxsim_hit=_scores.divided(by_hit, **norms),
            pooled=_scores.pooled(self._q, half(x)),
            containment=containment,
        )


def _pairs(columns: NDArray[np.int32]) -> tuple[Indices, Indices]:
    rows = np.flatnonzero(columns >= 0).astype(np.intp)
    return rows, columns[rows].astype(np.intp)
