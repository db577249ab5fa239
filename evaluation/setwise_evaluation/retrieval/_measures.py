"""Every measure of a ranking, for each query."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput

__all__ = ["average_precision", "graded_precision", "measured"]

Floats = NDArray[np.float64]


def average_precision(gains: Sequence[float]) -> float:
    """Mean, over the relevant hits of one ranking, of the precision down to each; NaN where nothing is relevant.

    gains: F1 of every image of the database, in the order of the ranking. Relevant is what shares a label: gain > 0.
    Manning, Raghavan & Schütze, "Introduction to Information Retrieval", 2008, section 8.4.
    """
    found, total = 0, 0.0
    for place, gain in enumerate(gains, start=1):
        if gain > 0:
            found += 1
            total += found / place
    return total / found if found else float("nan")


def graded_precision(gains: Sequence[float]) -> float:
    """Average precision where hits are relevant by degrees: their F1.

    Sum, over the hits that share a label, of the mean gain down to each, divided by what the best order would reach:
    1 for that order, and `average_precision` where gains are 0 and 1. NaN where nothing is relevant.
    Kishida, "Property of average precision and its generalization", NII technical report 2005-014E, equation 9.
    """

    def reached(order: Sequence[float]) -> float:
        return sum(sum(order[:place]) / place for place, gain in enumerate(order, start=1) if gain > 0)

    best = reached(sorted(gains, reverse=True))
    return reached(gains) / best if best else float("nan")


def measured(overlap: Floats, order: NDArray[np.int64], ks: Sequence[int]) -> dict[str, Floats]:
    """Every measure of rankings, by name, one number a query: each (Q,) float64.

    overlap: (Q, N) F1 of every query with every image (`overlaps`). order: (Q, N) images of each query, best first
    (`ranked`). ks: numbers of hits to look at. For each k:
    `F1@k`  mean F1 of the first k hits; a place that no hit fills counts 0.
    `P@k`   share of the first k hits that share a label with the query.
    `R@k`   share of all images that share a label which are among the first k hits.
    And of the whole ranking: `AP` (`average_precision`), `graded AP` (`graded_precision`), and `same@1`: 1 when the
    first hit carries exactly the query's labels, else 0. R, AP and graded AP of a query to which nothing is relevant
    are NaN. Raises InvalidInput for a k below 1.
    """
    if min(ks, default=1) < 1:
        raise InvalidInput(f"k is {min(ks)}; ask for at least the first hit", field="k")
    gains = np.take_along_axis(overlap, order, axis=1)
    relevant = gains > 0
    every = np.where(relevant.any(axis=1), relevant.sum(axis=1), np.nan)
    found = {f"F1@{k}": gains[:, :k].sum(axis=1) / k for k in ks}
    found |= {f"P@{k}": relevant[:, :k].sum(axis=1) / k for k in ks}
    found |= {f"R@{k}": relevant[:, :k].sum(axis=1) / every for k in ks}
    found["AP"] = _reached(relevant.astype(np.float64)) / every
    best = _reached(-np.sort(-gains, axis=1))
    found["graded AP"] = _reached(gains) / np.where(best > 0, best, np.nan)
    found["same@1"] = (gains[:, :1] == 1.0).any(axis=1).astype(np.float64)
    return found


def _reached(gains: Floats) -> Floats:
    """Sum of the mean gain down to each hit with a gain."""
    means = np.cumsum(gains, axis=1) / np.arange(1, gains.shape[1] + 1)
    total: Floats = (means * (gains > 0)).sum(axis=1)
    return total
