"""What matchers cost: CPU time of one thread, the affinity apart from the matching."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.matching import TokenSets, matched_sums, price_bounds
from setwise_evaluation.experiments.matchers._variants import Variant, variants_for
from setwise_evaluation.matchers import Matching, by_norm, partners

__all__ = ["BOUND", "FUSED", "LAPX", "SCIPY", "Cost", "times"]

SCIPY, LAPX = "scipy", "lapx"
FUSED, BOUND = "exact, as an RSM does it", "certified bound alone"

_SECONDS = 0.5  # each is repeated until it has run for so long
_MOST, _FEWEST = 15, 3  # times, and for what takes long
_LONG = 40.0  # seconds a pair beyond which another package is not asked
_ENTRIES, _PAIRS, _SIDE = 6_000_000, 24, 12
_SMALL = 1100  # tokens up to which other packages solve every pair


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of one thread for one pair of sets. affinity: of the inner products that the matcher needs; None
    where they are not computed apart. matching: from them to partners."""

    tokens: int
    matcher: str
    affinity: float | None
    matching: float

    @property
    def total(self) -> float:
        """From tokens to partners."""
        return (self.affinity or 0.0) + self.matching


def times(
    tokens: NDArray[np.floating], earlier: Sequence[Cost] = (), *, progress: Callable[[str], None] | None = None
) -> list[Cost]:
    """CPU time a pair of every matcher, of scipy and lapx (where installed), and of a whole pair of the exact RSM.

    tokens: (n, t, d) of n >= 2 images. Some pairs of different images are matched together, so that what Python costs
    is shared as in an RSM; the time is the median of repeats. Affinities are float32, by numpy's BLAS on one thread;
    scipy and lapx get float64, which they would make of it anyway. BATCH_OPTIMAL computes the affinities of its windows
    only. earlier: costs at smaller sizes, by which packages that would take minutes are left out. progress: called with
    a name before it is timed.
    """
    from threadpoolctl import threadpool_limits

    sets = by_norm(TokenSets(tokens))
    count = tokens.shape[1]
    pairs = [(sets[i], sets[j]) for i, j in _pairs(len(sets), count)]
    say = progress or _silent
    with threadpool_limits(1, user_api="blas"):
        say("affinity")
        matrices = [q @ x.T for q, x in pairs]
        whole = _median(lambda: [q @ x.T for q, x in pairs], len(pairs))
        costs = [_cost(one, pairs, matrices, whole, say) for one in variants_for(count)]
        say(BOUND)
        costs.append(Cost(count, BOUND, whole, _median(lambda: price_bounds(matrices), len(pairs))))
    say(FUSED)
    costs.append(Cost(count, FUSED, None, _fused(sets, count)))
    return [*costs, *_others(matrices, whole, earlier, say)]


def _cost(
    variant: Variant,
    pairs: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]],
    matrices: list[NDArray[np.float32]],
    whole: float,
    say: Callable[[str], None],
) -> Cost:
    say(variant.name)
    affinity = whole
    if variant.matching is Matching.BATCH_OPTIMAL:
        b = variant.options.window
        starts = range(0, len(pairs[0][0]), b)
        affinity = _median(lambda: [q[k : k + b] @ x[k : k + b].T for q, x in pairs for k in starts], len(pairs))
    seconds = _median(lambda: partners(variant.matching, matrices, options=variant.options), len(pairs))
    return Cost(len(pairs[0][0]), variant.name, affinity, seconds)


def _fused(sets: TokenSets, tokens: int) -> float:
    """All pairs of some images with some others by `matched_sums`, which makes its own affinities."""
    side = max(1, min(len(sets) // 2, _SIDE, math.isqrt(_ENTRIES // tokens**2)))
    rows, columns = (TokenSets([sets[i] for i in range(first, first + side)]) for first in (0, side))
    return _median(lambda: matched_sums(rows, columns), side * side)


def _others(
    matrices: list[NDArray[np.float32]], whole: float, earlier: Sequence[Cost], say: Callable[[str], None]
) -> list[Cost]:
    costs = []
    n = len(matrices[0])
    for name, solve in _solvers().items():
        before = [one for one in earlier if one.matcher == name]
        if earlier and (not before or before[-1].matching * (n / before[-1].tokens) ** 3 > _LONG):
            continue
        say(name)
        few = matrices if n <= _SMALL else matrices[:1]
        costs.append(Cost(n, name, whole, _solving(solve, [np.negative(matrix, dtype=np.float64) for matrix in few])))
    return costs


def _solvers() -> dict[str, Callable[[NDArray[np.float64]], Any]]:
    from scipy.optimize import linear_sum_assignment

    try:
        lap = importlib.import_module("lap")
    except ImportError:
        return {SCIPY: linear_sum_assignment}
    return {SCIPY: linear_sum_assignment, LAPX: lap.lapjv}


def _solving(solve: Callable[[NDArray[np.float64]], Any], losses: list[NDArray[np.float64]]) -> float:
    return _median(lambda: [solve(loss) for loss in losses], len(losses))


def _pairs(images: int, tokens: int) -> list[tuple[int, int]]:
    """Some pairs of different images, fewer of large ones, spread over all images."""
    every = [(i, j) for i in range(images) for j in range(i + 1, images)]
    count = min(len(every), max(2, min(_PAIRS, _ENTRIES // tokens**2)))
    return [every[k * len(every) // count] for k in range(count)]


def _median(work: Callable[[], object], pairs: int) -> float:
    """CPU seconds a pair, of this thread; the median of repeats, after one that warms up what is short."""
    began = time.thread_time()
    work()
    first = time.thread_time() - began
    if first > 4 * _SECONDS:
        return first / pairs
    spent = []
    repeats = min(_MOST, max(_FEWEST, int(_SECONDS / max(first, 1e-9))))
    for _ in range(repeats):
        began = time.thread_time()
        work()
        spent.append(time.thread_time() - began)
    return float(np.median(spent)) / pairs


def _silent(_name: str) -> None:
    """Say nothing."""
