"""Two feature sets in, every score and the matched tokens out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching._affinity import affinity
from setwise_engine.matching._describe import Describer
from setwise_engine.matching._sets import as_set, half
from setwise_engine.matching._solve import assign
from setwise_engine.matching._types import Match

__all__ = ["match"]


def match(q: FeatureSet | ArrayLike, x: FeatureSet | ArrayLike, *, sigma: float = 1.0) -> Match:
    """Every score of two sets and which token of one was matched with which of the other, the same on every path.

    q, x: feature sets, or arrays (n, d) and (m, d) of float16 or float32. Tokens are rounded to float16 first, as a
    collection stores them. sigma: width of the RBF kernel.
    Raises FeatureError when the sets differ in d, are no such arrays or a float32 token does not fit float16.
    """
    query, other = as_set(q), as_set(x)
    solved = assign(affinity(half(query), half(other)))
    columns = np.full(len(query), -1, np.int32)
    columns[solved.rows] = solved.columns
    return Describer(query, sigma=sigma).match(
        other, columns, (solved.row_prices, solved.column_prices), matched_sum=solved.value
    )
