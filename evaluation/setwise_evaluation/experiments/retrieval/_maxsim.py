"""MaxSim of all pairs in both directions from one product: half the work of asking for each direction by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_engine.matching import TokenSets

__all__ = ["maxsim_both_ways"]

Floats = NDArray[np.float64]
_BLOCK = 128


def maxsim_both_ways(
    queries: Any, database: Any, *, threads: int = 1, progress: Callable[[int, int], None] | None = None
) -> tuple[Floats, Floats]:
    """sum_i max_j <q_i, x_j> and sum_j max_i <q_i, x_j> of every query with every image: two (Q, N) float64.

    queries, database: (n, t, d) arrays or lists of (n_i, d). Inner products in float32 by the machine's BLAS, sums of
    them in float64: off by at most (d + 2) 2^-24 |Q| |X|. Khattab & Zaharia, "ColBERT", SIGIR 2020, equation 3.
    Raises InvalidInput for a set without tokens.
    """
    from threadpoolctl import threadpool_limits

    forwards, backwards = np.zeros((len(queries), len(database))), np.zeros((len(queries), len(database)))
    with threadpool_limits(threads, user_api="blas"):
        for first in range(0, len(database), _BLOCK):
            block = _sets(database[first : first + _BLOCK])
            for row in range(len(queries)):
                (query,) = _sets(queries[row : row + 1])
                here = row, slice(first, first + len(block))
                forwards[here], backwards[here] = _one(query, block)
            if progress is not None:
                progress(forwards[:, : first + _BLOCK].size, forwards.size)
    return forwards, backwards


def _one(query: NDArray[np.float32], block: TokenSets) -> tuple[Floats, Floats]:
    """One query with a block of images."""
    A = query @ block.tokens.T
    starts = block.offsets[:-1]
    best = np.maximum.reduceat(A, starts, axis=1).sum(axis=0, dtype=np.float64)
    return best, np.add.reduceat(A.max(axis=0), starts, dtype=np.float64)


def _sets(sets: Any) -> TokenSets:
    found = TokenSets(sets)
    if (np.diff(found.offsets) == 0).any():
        raise InvalidInput("a set has no tokens; leave its image out", field="tokens")
    return found
