"""Means over queries, and how sure one can be of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput

__all__ = ["Estimate", "bootstrap", "bootstrap_rows", "paired_bootstrap"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over queries and the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """As a table gives it: `0.357 [0.331, 0.383]`."""
        return f"{self:.3f}"

    def __format__(self, spec: str) -> str:
        """All three numbers by one spec, such as `+.3f` for differences."""
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def bootstrap(values: NDArray[np.float64], *, seed: int, resamples: int = 10_000) -> Estimate:
    """Mean of `values` (one a query) and its 95 % percentile interval over resampled queries.

    Raises InvalidInput when there are no values. Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13.
    """
    if len(values) == 0:
        raise InvalidInput("there are no queries to average over; give at least one value", field="values")
    rng = np.random.default_rng(seed)
    means = np.array([values[rng.integers(0, len(values), len(values))].mean() for _ in range(resamples)])
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(values.mean()), float(low), float(high))


def bootstrap_rows(values: NDArray[np.float64], *, seed: int, resamples: int = 10_000) -> list[Estimate]:
    """`bootstrap` of every row of (m, queries) over the same resampled queries: one draw for all, so quick.

    Raises InvalidInput when there are no queries.
    """
    count = values.shape[1]
    if count == 0:
        raise InvalidInput("there are no queries to average over; give at least one value", field="values")
    rng = np.random.default_rng(seed)
    drawn = np.stack([np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(resamples)])
    means = drawn @ values.T / count
    low, high = np.quantile(means, (0.025, 0.975), axis=0)
    return [Estimate(*map(float, row)) for row in zip(values.mean(axis=1), low, high, strict=True)]


def paired_bootstrap(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], *, seed: int, resamples: int = 10_000
) -> Estimate:
    """Mean of `ours - theirs` over the same queries and its 95 % interval.

    Whole queries are resampled, so that what makes a query hard for both cancels out. Raises InvalidInput when the two
    differ in length or are empty.
    """
    if len(ours) != len(theirs):
        raise InvalidInput(f"{len(ours)} values cannot be paired with {len(theirs)}; give both for the same queries")
    return bootstrap(ours - theirs, seed=seed, resamples=resamples)
