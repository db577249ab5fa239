"""Two feature sets in, every score and the matched tokens out."""

from __future__ import annotations

import math

import numpy as np

from setwise_engine.errors import FeatureError
from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching import _scores
from setwise_engine.matching._affinity import affinity
from setwise_engine.matching._types import Floats, Half, Indices, Kernel, Match, Scores
from setwise_engine.matching.reference import optimal_pairs, squares

__all__ = ["describe", "half", "match"]


def match(q: FeatureSet, x: FeatureSet, *, sigma: float) -> Match:
    """Every score of two sets and which token of one was matched with which of the other.

    Tokens are rounded to float16 first, as a collection stores them. sigma: width of the RBF kernel.
    Raises FeatureError when the sets differ in d or a float32 token does not fit float16.
    """
    A = affinity(half(q), half(x))
    return describe(q, x, A, optimal_pairs(A), sigma=sigma)


def describe(q: FeatureSet, x: FeatureSet, A: Floats, pairs: tuple[Indices, Indices], *, sigma: float) -> Match:
    """The Match of two sets whose affinity and optimal pairs are known."""
    rows, columns = pairs
    order = np.lexsort((rows, -A[rows, columns]))
    rows, columns = rows[order], columns[order]
    affinities: Floats = A[rows, columns]
    q_squares, x_squares = squares(half(q)), squares(half(x))
    cosines = _scores.cosines(affinities, q_squares[rows], x_squares[columns])
    norms = {"q_square": math.fsum(q_squares), "x_square": math.fsum(x_squares)}
    return Match(
        rows, columns, affinities, cosines, _all_scores(q, x, A, L=math.fsum(affinities), sigma=sigma, **norms)
    )


def half(features: FeatureSet) -> Half:
    """Tokens as float16, (n, d). Raises FeatureError when one is too large for it."""
    tokens = features.tokens
    if tokens.dtype == np.float16:
        return tokens
    with np.errstate(over="ignore"):
        rounded: Half = tokens.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise FeatureError(
            f"a token holds {np.abs(tokens).max():g}, beyond float16's 65504; scale the tokens down", field="tokens"
        )
    return rounded


def _all_scores(q: FeatureSet, x: FeatureSet, A: Floats, *, L: float, sigma: float, **norms: float) -> Scores:
    cosine, inner_product, rbf = (
        _scores.score(L, **norms, kernel=kernel, sigma=sigma)
        for kernel in (Kernel.COSINE, Kernel.INNER_PRODUCT, Kernel.RBF)
    )
    by_query, by_hit = _scores.maxsim(A)
    return Scores(
        cosine=cosine,
        inner_product=inner_product,
        rbf=rbf,
        spatio_semantic=_scores.spatio_semantic(A, **norms) if q.grid and q.grid == x.grid else None,
        maxsim_query=_scores.divided(by_query, **norms),
        maxsim_hit=_scores.divided(by_hit, **norms),
        pooled=_scores.pooled(half(q), half(x)),
    )
