"""From what was found to shares with intervals, and what a setting costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from setwise_evaluation.experiments.recall._types import Curve, Setting
from setwise_evaluation.retrieval import Estimate

__all__ = ["RESAMPLES", "bootstraps", "make_curve", "nominal_ms"]

RESAMPLES = 10_000
_AT_ONCE = 1000
_COARSE_NUMBERS_PER_MS = 4e6
_MATCHING_PRODUCTS_PER_MS = 5e7


def nominal_ms(setting: Setting, candidates: int, *, images: int, products: float) -> float:
    """What one query would take on one core of a machine of round figures, in milliseconds: the same on every machine.

    Coarse stage: 4 numbers of coarse vectors a nanosecond. Exact stage: 50 products of token numbers a nanosecond, for
    every pair of tokens of the query and of a candidate; what pruning saves and solving costs is in that rate. Both
    are the rates of benchmarks/README.md ("Coarse recall", "What the stages rule out"), rounded; measured times stand
    beside them in the study. products: of numbers for one candidate: tokens of the query times its tokens times d.
    """
    coarse = setting.scored(images) * setting.dims / _COARSE_NUMBERS_PER_MS
    return coarse + candidates * products / _MATCHING_PRODUCTS_PER_MS


def make_curve(
    setting: Setting,
    found: NDArray[np.int64],
    counts: Sequence[int],
    *,
    k: int,
    images: int,
    products: float,
    seed: int,
    coarse_ms: float,
) -> Curve:
    """Summarised over queries. found: (queries, counts), of k. products: see `nominal_ms`."""
    shares = found / k
    return Curve(
        setting=setting,
        found=found,
        recall=bootstraps(shares, seed=seed),
        worst=tuple(shares.min(axis=0).tolist()),
        complete=bootstraps((found == k).astype(np.float64), seed=seed),
        nominal_ms=tuple(nominal_ms(setting, count, images=images, products=products) for count in counts),
        coarse_ms=coarse_ms,
    )


def bootstraps(values: NDArray[np.float64], *, seed: int) -> tuple[Estimate, ...]:
    """`setwise_evaluation.retrieval.bootstrap` of every column of (queries, columns), over the same resampled queries.

    Every setting is judged over the same queries, so that their intervals rise and fall together.
    """
    queries = len(values)
    rng = np.random.default_rng(seed)
    means = []
    for first in range(0, RESAMPLES, _AT_ONCE):
        drawn = rng.integers(0, queries, (min(_AT_ONCE, RESAMPLES - first), queries))
        times = np.stack([np.bincount(one, minlength=queries) for one in drawn])
        means.append(times @ values / queries)
    low, high = np.quantile(np.concatenate(means), (0.025, 0.975), axis=0)
    return tuple(
        Estimate(*three) for three in zip(values.mean(axis=0).tolist(), low.tolist(), high.tolist(), strict=True)
    )
