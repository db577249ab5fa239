"""From what was found to shares with intervals, and what a setting costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from setwise_evaluation.experiments.recall._types import Curve, Draws, Setting
from setwise_evaluation.retrieval import bootstrap_rows

__all__ = ["make_curve", "nominal_ms"]

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
    draws: Draws,
    coarse_ms: float,
) -> Curve:
    """Summarised over queries, every setting over the same resampled ones, so that their intervals rise and fall
    together. found: (queries, counts), of k. products: see `nominal_ms`."""
    shares = found.T / k
    estimates = bootstrap_rows(np.concatenate([shares, shares == 1]), seed=draws.seed, resamples=draws.resamples)
    return Curve(
        setting=setting,
        found=found,
        recall=tuple(estimates[: len(counts)]),
        worst=tuple(shares.min(axis=1).tolist()),
        complete=tuple(estimates[len(counts) :]),
        nominal_ms=tuple(nominal_ms(setting, count, images=images, products=products) for count in counts),
        coarse_ms=coarse_ms,
    )
