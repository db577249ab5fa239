"""What a ranking gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from setwise_engine.matching._types import Floats

__all__ = ["Ranked", "Ranking", "Stages", "no_check"]


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

    @property
    def examined(self) -> int:
        """Candidates that were ruled out or solved."""
        return self.gate + self.gate_dual + self.bound + self.dual + self.solved


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """A candidate whose optimal matching is known.

    key: of the candidate. score: under the asked kernel. matched_sum: L (of the weighted cosines for containment).
    columns: (n,) int32, the candidate's token that each query token is matched with, -1 for none.
    row_prices: (n,), column_prices: (m,) float64: the proof, see `Assignment`. gap: sum u + sum v - L.
    The last four are empty, and 0, when proofs were not asked for.
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
