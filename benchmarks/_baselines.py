"""What a good engineer would write with numpy and a solver, or MaxSim with numpy alone: one GEMM, no copies by pair.

They get a present: their candidates lie together in float32 in the asked order before the clock starts. Ours reads
float16 rows where they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from _shared import Sets
from _timing import clock, in_turns, optional
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

__all__ = ["Matched", "Solve", "lapx_solve", "maxsim", "scipy_solve"]

Floats = NDArray[np.float32]
Solve = Callable[[Floats], NDArray[np.float64]]
"""From costs (K, n, m) to the K least sums."""


class Matched:
    """The best of K candidate sets by the cosine of the optimal matching; every candidate is solved."""

    def __init__(self, candidates: Sets, query: Sets, solve: Solve) -> None:
        """candidates: (K, n, d) float16, query: (m, d) float16; what is done here is not timed."""
        self._sets = np.ascontiguousarray(candidates, np.float32)
        self._norms = np.sqrt(np.einsum("knd,knd->k", self._sets, self._sets, dtype=np.float64))
        self._query = query
        self._solve = solve
        self._costs = np.empty((len(candidates) * candidates.shape[1], len(query)), np.float32)

    def top(self, k: int) -> tuple[list[int], list[float]]:
        """Positions among the candidates and scores, best first."""
        sums = -self._solve(self.costs())
        return best(sums / (self._norms * float(np.linalg.norm(self._query.astype(np.float64)))), k)

    def costs(self) -> Floats:
        """All negative affinities, (K, n, m), by one GEMM."""
        K, n, d = self._sets.shape
        np.matmul(self._sets.reshape(K * n, d), -self._query.astype(np.float32).T, out=self._costs)
        return self._costs.reshape(K, n, -1)


def best(scores: NDArray[np.float64], k: int) -> tuple[list[int], list[float]]:
    """Positions and values of the k largest, falling."""
    order = np.argpartition(-scores, k - 1)[:k] if k < len(scores) else np.arange(len(scores))
    order = order[np.argsort(-scores[order], kind="stable")]
    return order.tolist(), scores[order].tolist()


def scipy_solve(costs: Floats) -> NDArray[np.float64]:
    """scipy's solver in a loop; it holds the interpreter's lock, so that a second thread would not help."""
    return np.array([C[linear_sum_assignment(C)].sum(dtype=np.float64) for C in costs])


def lapx_solve(threads: int, sample: Floats) -> Solve | None:
    """lapx's batch, by the entry that is faster on a sample of costs (K, n, m); None where lapx is missing."""
    library = optional("lap", "lapx")
    if library is None:
        return None

    def solve(entry: str, costs: Floats, threads: int = threads) -> NDArray[np.float64]:
        return np.asarray(getattr(library, f"{entry}_batch")(costs, extend_cost=True, n_threads=threads)[0])

    runs = {entry: partial(solve, entry, sample, 1) for entry in ("lapjvr", "lapjvh")}
    times = in_turns(runs, 3, clock(1))
    return partial(solve, min(times, key=lambda entry: min(times[entry])))


def maxsim(candidates: Floats, query: Floats, out: Floats, k: int) -> tuple[list[int], list[float]]:
    """MaxSim from the query's side: candidates (K, n, d), query (m, d), out (K * n, m): room for the products.

    In this layout the largest entries are taken over whole rows at a time, which numpy does fastest.
    """
    K, n, d = candidates.shape
    np.matmul(candidates.reshape(K * n, d), query.T, out=out)
    return best(out.reshape(K, n, -1).max(axis=1).sum(axis=1, dtype=np.float64), k)
