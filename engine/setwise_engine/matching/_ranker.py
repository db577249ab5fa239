"""The k best of any number of candidate sets, exactly, with the proof that the rest cannot be among them."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from setwise_engine.matching import reference
from setwise_engine.matching._affinity import affinity
from setwise_engine.matching._blocks import Blocks, split
from setwise_engine.matching._scores import cosines, score
from setwise_engine.matching._types import Floats, Half, Kernel

__all__ = ["Ranked", "Ranker", "Ranking", "Stages", "no_check"]


def no_check() -> None:
    """The caller waits as long as it takes."""


@dataclass(frozen=True, slots=True)
class Stages:
    """How many candidates each stage ruled out, in the order in which they run, and how many were left to solve.

    gate, gate_dual: row/column bound and dual bound of the int8 affinity. bound, dual: the same of the float32
    affinity, the assignment given up on the way included. solved: optimum found and proven.
    """

    gate: int = 0
    gate_dual: int = 0
    bound: int = 0
    dual: int = 0
    solved: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """A candidate whose optimal matching is known.

    key: of the candidate. score: under the asked kernel. matched_sum: L (of the weighted cosines for containment).
    columns: (n,) int32, the candidate's token that each query token is matched with, -1 for none.
    row_prices: (n,), column_prices: (m,) float64: the proof, see `Assignment`. gap: sum u + sum v - L.
    """

    key: int
    score: float
    matched_sum: float
    columns: NDArray[np.int32]
    row_prices: Floats
    column_prices: Floats
    gap: float


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """What was found among all candidates.

    finalists: every candidate that scores at least as much as the k-th best (or all solved, when fewer than k), best
    first; equal scores are left for the caller to order. Scores below `least` may be among them.
    kth_score: None when fewer than one was solved; the last one's when fewer than k were.
    highest_pruned_bound: upper bound of the score of everything that was ruled out; None when nothing was.
    read: (r,) int64, keys whose tokens were read, in no particular order: all that the gate did not rule out.
    """

    finalists: list[Ranked]
    stages: Stages
    kth_score: float | None
    highest_pruned_bound: float | None
    read: NDArray[np.int64]


class Ranker:
    """Ranks candidates as they come; keeps the k best."""

    def __init__(
        self,
        query: Half,
        *,
        k: int,
        kernel: Kernel = Kernel.COSINE,
        sigma: float = 1.0,
        least: float = -math.inf,
        threads: int = 1,
        prune: bool = True,
    ) -> None:
        """query: (n, d) float16. least: candidates that score below it are of no interest. threads: at least 1."""
        self._query, self._k, self._kernel, self._sigma, self._least = query, k, kernel, sigma, least
        self._prune = prune
        self._square = reference.square(query)
        self._best: list[float] = []
        self._found: list[Ranked] = []
        self._pruned: list[float] = []
        self._read: list[NDArray[np.int64]] = []

    def add(self, blocks: Blocks, keys: NDArray[np.int64], check: Callable[[], None] = no_check) -> None:
        """Ranks the sets of these keys, most promising first, among those that came before.

        check: called every few milliseconds; what it raises ends the call.
        """
        self._read.append(keys)
        for i, key in enumerate(keys.tolist()):
            if i % 8 == 0:
                check()
            self._one(blocks, key)

    def result(self) -> Ranking:
        """What was found so far."""
        kth = self._best[0] if self._best else None
        finalists = [one for one in self._found if kth is None or one.score >= kth]
        finalists.sort(key=lambda one: -one.score)
        stages = Stages(bound=len(self._pruned), solved=len(self._found))
        read = np.concatenate([np.empty(0, np.int64), *self._read])
        return Ranking(finalists, stages, kth, max(self._pruned, default=None), read)

    def _one(self, blocks: Blocks, key: int) -> None:
        number, row = split(key)
        block = blocks[number]
        tokens = block.tokens[block.offsets[row] : block.offsets[row + 1]]
        A = affinity(self._query, tokens)
        if self._kernel is Kernel.CONTAINMENT:
            A = _contained(A, reference.squares(self._query), reference.squares(tokens))
        x_square = float(block.squares[row])
        threshold = max(self._least, self._best[0]) if len(self._best) == self._k else self._least
        bound = self._score(reference.upper_bound(A), x_square)
        if self._kernel is Kernel.RBF:
            bound += 4 * math.ulp(bound)
        if self._prune and bound < threshold:
            self._pruned.append(bound)
            return
        solved = reference.assign(A)
        columns = np.full(len(A), -1, np.int32)
        columns[solved.rows] = solved.columns
        value = self._score(solved.value, x_square)
        self._found.append(
            Ranked(key, value, solved.value, columns, solved.row_prices, solved.column_prices, solved.gap)
        )
        (heapq.heappush if len(self._best) < self._k else heapq.heappushpop)(self._best, value)

    def _score(self, matched_sum: float, x_square: float) -> float:
        if self._kernel is Kernel.CONTAINMENT:
            return matched_sum
        return score(matched_sum, q_square=self._square, x_square=x_square, kernel=self._kernel, sigma=self._sigma)


def _contained(A: Floats, q_squares: Floats, x_squares: Floats) -> Floats:
    """w_i cos(q_i, x_j) with w_i = |q_i|^2 / |Q|^2, in multiples of 2^-52, so that sums of them are exact integers."""
    total = math.fsum(q_squares)
    if total == 0.0:
        return np.zeros_like(A)
    weighted = cosines(A, q_squares[:, None], x_squares) * (q_squares / total)[:, None]
    rounded: Floats = np.rint(weighted * 2.0**52) * 2.0**-52
    return rounded
