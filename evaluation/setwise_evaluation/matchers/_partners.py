"""Who is matched with whom in given affinities: every one-to-one matching by one function, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_engine.matching import TokenSets, assign_batch, greedy_batch, sinkhorn_batch
from setwise_evaluation.matchers._types import Matching, MatchingOptions

__all__ = ["BY_NORM", "Columns", "by_norm", "partners"]

Columns = NDArray[np.int32]
_Matrices = Sequence[NDArray[Any]]

BY_NORM = (Matching.TOPK_GREEDY, Matching.BATCH_OPTIMAL)
"""Matchings that look at tokens' norms: their matrices need rows and columns in the order of `by_norm`."""


def by_norm(sets: TokenSets) -> TokenSets:
    """The same sets with the tokens of each in the order of falling Euclidean norm; equal norms keep their order."""
    squares = np.einsum("td,td->t", sets.tokens, sets.tokens, dtype=np.float64)
    parts = np.split(squares, sets.offsets[1:-1])
    return TokenSets([one[np.argsort(-part, kind="stable")] for one, part in zip(sets, parts, strict=False)])


def partners(
    matching: Matching | str,
    affinities: _Matrices,
    *,
    options: MatchingOptions | None = None,
    threads: int = 1,
) -> list[Columns]:
    """For every matrix (n, m) the column of each row, (n,) int32, -1 for none: min(n, m) pairs, all columns different.

    EXACT: the pairs of largest sum. GREEDY: the largest entry whose row and column are both free, again and again.
    TOPK_GREEDY: the `top` tokens of largest norm of each side among themselves, optimally; the rest among themselves,
    greedily. Where the shorter side has no more than `top` tokens, it is the exact matching.
    BATCH_OPTIMAL: windows of `window` tokens of each side by falling norm, window k of one side with window k of the
    other, each optimally; on the longer side tokens of small norm stay free. Exact when no side exceeds the window.
    SINKHORN: as `setwise_engine.matching.sinkhorn_batch` defines it.

    affinities: float32 or float64; rows and columns by falling norm (`by_norm`) for TOPK_GREEDY and BATCH_OPTIMAL.
    Raises InvalidInput for NONE, MAXSIM and CHAMFER, which pair no tokens one to one by affinity.
    Source: Wald et al., NeurIPS 2024, appendix on approximations. In its code windows go by rising norm, so that the
    short window of n mod b tokens is the one of the largest norms; here it is the one of the smallest.
    """
    options = options or MatchingOptions()
    match Matching(matching):
        case Matching.EXACT:
            return assign_batch(affinities, threads=threads).partners
        case Matching.GREEDY:
            return greedy_batch(affinities, threads=threads)
        case Matching.TOPK_GREEDY:
            return _topk_greedy(affinities, options.top, threads)
        case Matching.BATCH_OPTIMAL:
            return _batch_optimal(affinities, options.window, threads)
        case Matching.SINKHORN:
            strength, rounds = options.regularisation, options.iterations
            return sinkhorn_batch(affinities, regularisation=strength, iterations=rounds, threads=threads).partners
        case other:
            raise InvalidInput(f"{other} pairs no tokens one to one; ask for another matching", field="matching")


def _topk_greedy(affinities: _Matrices, top: int, threads: int) -> list[Columns]:
    tops = [A if min(A.shape) <= top else A[:top, :top] for A in affinities]
    rests = [A[len(A) if min(A.shape) <= top else top :, top:] for A in affinities]
    solved, others = assign_batch(tops, threads=threads).partners, greedy_batch(rests, threads=threads)
    return [_joined(A, [(0, one), (top, other)]) for A, one, other in zip(affinities, solved, others, strict=True)]


def _batch_optimal(affinities: _Matrices, window: int, threads: int) -> list[Columns]:
    firsts = [range(0, min(A.shape), window) for A in affinities]
    blocks = [A[k : k + window, k : k + window] for A, starts in zip(affinities, firsts, strict=True) for k in starts]
    solved = iter(assign_batch(blocks, threads=threads).partners)
    return [_joined(A, [(k, next(solved)) for k in starts]) for A, starts in zip(affinities, firsts, strict=True)]


def _joined(A: NDArray[Any], blocks: Sequence[tuple[int, Columns]]) -> Columns:
    """The partners of all rows from those in blocks along the diagonal, each with where it begins."""
    if len(blocks) and len(blocks[0][1]) == len(A):
        return blocks[0][1]
    columns = np.full(len(A), -1, np.int32)
    for first, own in blocks:
        columns[first : first + len(own)] = np.where(own < 0, -1, own + first)
    return columns
