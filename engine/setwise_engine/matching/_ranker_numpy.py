"""The ranker in numpy and scipy: one bound, then the assignment."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from setwise_engine.matching import reference
from setwise_engine.matching._affinity import affinity, squares
from setwise_engine.matching._blocks import Blocks, split
from setwise_engine.matching._ranking import Ranked, Ranking, Stages
from setwise_engine.matching._scores import weighted_cosines
from setwise_engine.matching._types import Floats, Half

__all__ = ["NumpyRanker"]


class NumpyRanker:
    """See `Ranker`."""

    def __init__(
        self,
        query: Half,
        *,
        k: int,
        containment: bool,
        score: Callable[[float, float], float],
        slack: Callable[[float], float],
        least: float,
        prune: bool,
    ) -> None:
        """score: of a matched sum and a candidate's squared norm. slack: what to add to the score of a bound."""
        self._query, self._k, self._containment = query, k, containment
        self._score, self._slack, self._least, self._prune = score, slack, least, prune
        self._best: list[float] = []
        self._found: list[Ranked] = []
        self._pruned: list[float] = []
        self._read: list[int] = []

    def add(self, blocks: Blocks, keys: NDArray[np.int64], check: Callable[[], None]) -> None:
        for i, key in enumerate(keys.tolist()):
            if i % 8 == 0:
                check()
            self._one(blocks, key, check)
            self._read.append(key)

    def result(self) -> Ranking:
        kth = self._best[0] if self._best else None
        finalists = [one for one in self._found if kth is None or one.score >= kth]
        finalists.sort(key=lambda one: -one.score)
        stages = Stages(bound=len(self._pruned), solved=len(self._found))
        read = np.array(self._read, np.int64)
        return Ranking(finalists, stages, kth, max(self._pruned, default=None), read)

    def _one(self, blocks: Blocks, key: int, check: Callable[[], None]) -> None:
        number, row = split(key)
        block = blocks[number]
        tokens = block.tokens[block.offsets[row] : block.offsets[row + 1]]
        x_square = float(block.squares[row])
        A = self._affinity(tokens, check)
        check()
        threshold = max(self._least, self._best[0]) if len(self._best) == self._k else self._least
        bound = self._slack(self._score(reference.upper_bound(A), x_square))
        if self._prune and bound < threshold:
            self._pruned.append(bound)
            return
        check()
        solved = reference.assign(A, check)
        columns = np.full(len(A), -1, np.int32)
        columns[solved.rows] = solved.columns
        value = self._score(solved.value, x_square)
        self._found.append(
            Ranked(key, value, solved.value, columns, solved.row_prices, solved.column_prices, solved.gap)
        )
        (heapq.heappush if len(self._best) < self._k else heapq.heappushpop)(self._best, value)

    def _affinity(self, tokens: Half, check: Callable[[], None]) -> Floats:
        A = affinity(self._query, tokens, check)
        if not self._containment:
            return A
        return weighted_cosines(A, squares(self._query), squares(tokens), check)
