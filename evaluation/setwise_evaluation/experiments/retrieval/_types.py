"""What a retrieval study is asked and what it finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from setwise_evaluation.retrieval import Estimate

__all__ = ["APART", "KERNELS", "SIMILARITIES", "Case", "Reading", "Retrieval", "Side"]

SIMILARITIES = ("pooled", "spatio-semantic", "maxsim", "maxsim-image", "chamfer", "semantic")
"""In the order of tables. maxsim sums over the query's tokens, maxsim-image over the image's; chamfer is their mean."""

KERNELS = ("cosine", "inner_product", "rbf")

APART = "told apart"
"""Of the images that hold what the query holds, in whatever numbers: whether the first holds it in the same numbers."""

Floats = NDArray[np.float64]


class Reading(NamedTuple):
    """A similarity in a kernel: one ranking of the database for each query."""

    similarity: str
    kernel: str


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Queries or database: ids, tokens ((n, t, d), or a list of (n_i, d)), the labels of each with their numbers."""

    ids: tuple[str, ...]
    tokens: Any
    labels: tuple[Counter[str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One data set. leave_one_out: queries are images of the database, by their ids, and not to find themselves.

    counted: numbers of labels matter. said: sentences on what was read and what was left out. left_out: each
    file that could not be read, and why. key: names a folder that may keep the sums.
    """

    name: str
    queries: Side
    database: Side
    kind: str
    counted: bool
    leave_one_out: bool
    said: tuple[str, ...]
    left_out: tuple[str, ...]
    key: str


@dataclass(frozen=True, slots=True, eq=False)
class Retrieval:
    """What every ranking is worth.

    per_query: by reading and measure (`setwise_evaluation.retrieval.measured`, and `told apart` where numbers matter),
    one number a query, NaN where the measure is not defined for it. first: by reading, the id of each query's first
    hit. estimates: means over the queries with 95 % bootstrap intervals over queries. ahead: semantic minus the reading
    in the same kernel, paired by query. chance: what a random order expects, of the measures where that is simple.
    """

    query_ids: tuple[str, ...]
    images: int
    ks: tuple[int, ...]
    per_query: Mapping[Reading, Mapping[str, Floats]]
    first: Mapping[Reading, tuple[str, ...]]
    estimates: Mapping[Reading, Mapping[str, Estimate]]
    ahead: Mapping[Reading, Mapping[str, Estimate]]
    chance: Mapping[str, float]

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures' names, in the order of tables."""
        return tuple(next(iter(self.estimates.values())))
