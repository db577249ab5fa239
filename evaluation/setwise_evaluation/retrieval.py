"""How good a ranking is, and how sure one can be of a difference between two.

The quality of one hit is the F1 score of its labels against the query's: 2 |Q and H| / (|Q| + |H|) over the two sets
of labels. F1@k of one query is the mean over its first k hits. "F1@1" and "mean F1@5" in our tables are the means of
F1@1 and F1@5 over all queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput

__all__ = ["Estimate", "bootstrap", "f1_at", "label_f1", "paired_bootstrap", "random_f1", "recall_by_candidates"]

Labels = AbstractSet[str]


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


def label_f1(query: Labels, hit: Labels) -> float:
    """2 |query and hit| / (|query| + |hit|); 0 when neither has a label."""
    total = len(query) + len(hit)
    return 2 * len(query & hit) / total if total else 0.0


def f1_at(query: Labels, hits: Sequence[Labels], k: int) -> float:
    """Mean `label_f1` of the first k hits, best first; a place that no hit fills counts 0.

    Raises InvalidInput when k is below 1.
    """
    if k < 1:
        raise InvalidInput(f"k is {k}; ask for at least the first hit", field="k")
    return sum(label_f1(query, hit) for hit in hits[:k]) / k


def random_f1(queries: Sequence[Labels], database: Sequence[Labels]) -> float:
    """What a ranking by chance expects at every k: the mean F1 over all pairs of query and database image."""
    return float(np.mean([label_f1(query, hit) for query in queries for hit in database]))


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


def recall_by_candidates(exact: Sequence[str], coarse: Sequence[str], counts: Sequence[int]) -> list[float]:
    """Share of the exact hits that lie among the first n coarse candidates, for every n of `counts`.

    Raises InvalidInput when there are no exact hits.
    """
    if not exact:
        raise InvalidInput("there are no exact hits to recall", field="exact")
    place = {name: rank for rank, name in enumerate(coarse)}
    ranks = np.array([place.get(name, len(coarse) + max(counts)) for name in exact])
    return [float((ranks < count).mean()) for count in counts]
