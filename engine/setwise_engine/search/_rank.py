"""The exact ranking of candidates: an upper bound for each, the optimal matching for those it cannot rule out."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching import Floats, Indices, Kernel, affinity, half, optimal_pairs, score, square, upper_bound
from setwise_engine.search._contender import Contender
from setwise_engine.search._options import Options

__all__ = ["Check", "Ranked", "Ranking", "no_check", "rank"]

_CHECK_EVERY = 8  # candidates: about 10 ms of matching at 100 tokens of 256 dimensions


class Check(Protocol):
    """Raises DeadlineError or CancelledError when the caller no longer waits."""

    def __call__(self) -> None: ...


def no_check() -> None:
    """The caller waits as long as it takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """A candidate whose optimal matching is known; `a < b` when a ranks below b."""

    score: float
    contender: Contender
    pairs: tuple[Indices, Indices]

    def __lt__(self, other: Ranked) -> bool:
        if self.score != other.score:
            return self.score < other.score
        return self.contender.id.encode() > other.contender.id.encode()


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The best candidates, best first, before min_score; how many were ruled out and how many solved."""

    best: list[Ranked]
    pruned: int
    solved: int
    highest_pruned_bound: float | None


def rank(
    query: FeatureSet,
    contenders: Sequence[Contender],
    options: Options,
    *,
    sigma: float,
    check: Check,
    prune: bool = True,
) -> Ranking:
    """The options.k best of the contenders by the exact score.

    A candidate is ruled out only when its bound lies strictly below the k-th score so far (or below min_score), so that
    the answer is the same, to the bit, without any ruling out and in any order of the contenders.
    """
    q = half(query)
    q_square = square(q)
    least = -math.inf if options.min_score is None else options.min_score
    best: list[Ranked] = []
    pruned_bounds: list[float] = []
    for i, contender in enumerate(contenders):
        if i % _CHECK_EVERY == 0:
            check()
        A, x_square = affinity(q, contender.tokens()), contender.square()
        threshold = max(least, best[0].score) if len(best) == options.k else least
        bound = _bound(A, q_square, x_square, options.kernel, sigma)
        if prune and bound < threshold:
            pruned_bounds.append(bound)
            continue
        pairs = optimal_pairs(A)
        value = score(math.fsum(A[pairs]), q_square=q_square, x_square=x_square, kernel=options.kernel, sigma=sigma)
        ranked = Ranked(value, contender, pairs)
        if len(best) < options.k:
            heapq.heappush(best, ranked)
        else:
            heapq.heappushpop(best, ranked)
    solved = len(contenders) - len(pruned_bounds)
    return Ranking(sorted(best, reverse=True), len(pruned_bounds), solved, max(pruned_bounds, default=None))


def _bound(A: Floats, q_square: float, x_square: float, kernel: Kernel, sigma: float) -> float:
    """An upper bound of the score: MaxSim of the smaller side in place of the matched sum.

    Rounding needs no slack. The matched sum adds entries of this very A; both sums are rounded once, and every
    operation of `score` rounds to nearest, which keeps order: what is larger before it is not smaller after. The one
    exception is exp, which is good to a unit in the last place or two.
    """
    bound = score(upper_bound(A), q_square=q_square, x_square=x_square, kernel=kernel, sigma=sigma)
    return bound + 4 * math.ulp(bound) if kernel is Kernel.RBF else bound
