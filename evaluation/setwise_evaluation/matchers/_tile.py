"""Sums of inner products over matched tokens, for all pairs of two collections of sets, under any matching."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_engine.matching import MatchedSums, TokenSets, matched_sums, no_check, price_bounds, sinkhorn_batch
from setwise_evaluation.matchers._partners import BY_NORM, Columns, by_norm, partners
from setwise_evaluation.matchers._types import Matching, MatchingOptions

__all__ = ["matched_tile"]

_Check = Callable[[], None]
_ENTRIES = 1 << 24  # affinities in memory at once, unless one pair has more: 64 MiB


def matched_tile(
    matching: Matching | str,
    a: TokenSets,
    b: TokenSets | None = None,
    *,
    options: MatchingOptions | None = None,
    threads: int = 1,
    check: _Check = no_check,
) -> MatchedSums:
    """Sum of <q_i, x_p(i)> over the pairs that a matching makes of every set of a with every one of b.

    values: (na, nb) float64; every inner product of float32 tokens summed in float64. b: None for a with itself: then
    each pair is matched once and stands on both sides of the diagonal, but for MAXSIM, which is not symmetric.
    gaps: (na, nb) float64, >= 0: an upper bound of every one-to-one matching of the two sets, minus the value, so it is
    never less than what the matching misses. The bound is the sum of feasible prices: the optimum's own for EXACT,
    those of SINKHORN for itself, and for the other approximations those of
    `setwise_engine.matching.price_bounds`; rounding of the float32 affinities is included. For NONE, MAXSIM and CHAMFER
    gaps are NaN: their values bound no matching, and no matching's bound is about them.

    Approximations choose their pairs on float32 affinities. threads: for products and for matchings. check: called at
    least once a set of a; what it raises ends the call. Raises InvalidInput for NONE between sets of different size.
    """
    matching, options = Matching(matching), options or MatchingOptions()
    if matching is Matching.EXACT:
        return matched_sums(a, b, threads=threads, check=check)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads, user_api="blas"):
        if matching is Matching.NONE:
            return _bare(_same_positions(a, a if b is None else b))
        if matching is Matching.MAXSIM:
            return _bare(_maxsim(a, a if b is None else b, check))
        if matching is Matching.CHAMFER:
            there = _maxsim(a, a if b is None else b, check)
            back = there if b is None else _maxsim(b, a, check)
            return _bare((there + back.T) / 2.0)
        return _one_to_one(matching, a, b, options=options, threads=threads, check=check)


def _bare(values: NDArray[np.float64]) -> MatchedSums:
    return MatchedSums(values, np.full(values.shape, np.nan))


def _same_positions(a: TokenSets, b: TokenSets) -> NDArray[np.float64]:
    sizes = np.unique(np.concatenate([np.diff(a.offsets), np.diff(b.offsets)]))
    if len(sizes) > 1:
        raise InvalidInput(
            f"sets have from {sizes[0]} to {sizes[-1]} tokens; matching none needs equal sizes", field="matching"
        )
    left = a.tokens.reshape(len(a), -1).astype(np.float64)
    right = left if b is a else b.tokens.reshape(len(b), -1).astype(np.float64)
    return left @ right.T


def _maxsim(a: TokenSets, b: TokenSets, check: _Check) -> NDArray[np.float64]:
    """Every token of a set of a with its best of a set of b; 0 when there is none."""
    values = np.zeros((len(a), len(b)))
    for i, first, matrices in _affinities(a, b, mirrored=False):
        check()
        best = [A.argmax(axis=1) if A.size else np.full(len(A), -1) for A in matrices]
        values[i, first : first + len(best)] = _sums(a[i], b, first, best)
    return values


def _one_to_one(
    matching: Matching, a: TokenSets, b: TokenSets | None, *, options: MatchingOptions, threads: int, check: _Check
) -> MatchedSums:
    if matching in BY_NORM:
        a, b = by_norm(a), None if b is None else by_norm(b)
    right, mirrored = a if b is None else b, b is None
    values, gaps = np.zeros((len(a), len(right))), np.zeros((len(a), len(right)))
    for i, first, matrices in _affinities(a, right, mirrored=mirrored):
        check()
        here = slice(first, first + len(matrices))
        found, bounds = _matched(matching, matrices, options, threads)
        values[i, here] = _sums(a[i], right, first, found)
        slack = _rounding(a.tokens.shape[1]) * np.sqrt(a.squares[i] * right.squares[here])
        gaps[i, here] = np.maximum(bounds + slack - values[i, here], 0.0)
        if mirrored:
            values[here, i], gaps[here, i] = values[i, here], gaps[i, here]
    return MatchedSums(values, gaps)


def _matched(
    matching: Matching, matrices: list[NDArray[Any]], options: MatchingOptions, threads: int
) -> tuple[list[Columns], NDArray[np.float64]]:
    """Partners, and what no matching of each matrix exceeds."""
    if matching is Matching.SINKHORN:
        strength, rounds = options.regularisation, options.iterations
        solved = sinkhorn_batch(matrices, regularisation=strength, iterations=rounds, threads=threads)
        return solved.partners, solved.values + solved.gaps
    found = partners(matching, matrices, options=options, threads=threads)
    return found, price_bounds(matrices, threads=threads)


def _affinities(a: TokenSets, b: TokenSets, *, mirrored: bool) -> Iterator[tuple[int, int, list[NDArray[np.float32]]]]:
    """Row i, the first of some sets of b, and the affinities of set i with them; from i on when mirrored."""
    for i, q in enumerate(a):
        first = i if mirrored else 0
        while first < len(b):
            most = b.offsets[first] + max(_ENTRIES // max(len(q), 1), 1)
            last = max(int(np.searchsorted(b.offsets, most, side="right")) - 1, first + 1)
            whole = q @ b.tokens[b.offsets[first] : b.offsets[last]].T
            yield i, first, np.split(whole, b.offsets[first + 1 : last] - b.offsets[first], axis=1)
            first = last


def _sums(q: NDArray[np.float32], b: TokenSets, first: int, found: list[Columns]) -> list[float]:
    """Matched sums in float64 of one set with several from `first` on."""
    precise = q.astype(np.float64)
    sums = []
    for j, columns in enumerate(found, start=first):
        rows = np.flatnonzero(columns >= 0)
        sums.append(float(np.vdot(precise[rows], b[j][columns[rows]].astype(np.float64))))
    return sums


def _rounding(d: int) -> float:
    """Relative to |Q| |X|: how far sums over pairs of float32 inner products may be off (Higham 2002, section 3.1)."""
    unit = (d + 2) * 2.0**-24
    return unit / (1.0 - unit)
