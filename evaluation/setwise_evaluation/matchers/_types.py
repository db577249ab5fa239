"""Which matching, and what the approximations leave to choose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from numbers import Integral, Real

from setwise_engine.errors import InvalidInput

__all__ = ["Matching", "MatchingOptions"]


class Matching(StrEnum):
    """How the tokens of two sets are paired before their inner products are added up.

    EXACT: the one-to-one matching of largest sum. NONE: same positions, so sets must be of equal size.
    GREEDY, TOPK_GREEDY, BATCH_OPTIMAL, SINKHORN: one-to-one matchings that are cheaper to find and may be worth less.
    MAXSIM: every token of the first set takes its best partner, whoever else has it; not symmetric.
    CHAMFER: the mean of MAXSIM both ways.
    """

    EXACT = "exact"
    NONE = "none"
    GREEDY = "greedy"
    TOPK_GREEDY = "topk-greedy"
    BATCH_OPTIMAL = "batch-optimal"
    SINKHORN = "sinkhorn"
    MAXSIM = "maxsim"
    CHAMFER = "chamfer"

    @classmethod
    def _missing_(cls, value: object) -> Matching:
        """Refuses any other name."""
        raise InvalidInput(f"matching is {value!r}; ask for one of {', '.join(cls)}", field="matching")


@dataclass(frozen=True, slots=True)
class MatchingOptions:
    """What the approximations leave to choose; the exact matching and MaxSim have no options.

    window: tokens a window of BATCH_OPTIMAL; 128, 256, 512 and 1024 in the paper.
    top: how many tokens of largest norm TOPK_GREEDY matches optimally; 128 to 2048 in the authors' code.
    regularisation: SINKHORN's entropy weight, in units of the mean over rows of (largest - mean affinity).
    iterations: how many times SINKHORN scales rows and columns. Not from the paper, like SINKHORN itself.
    Raises InvalidInput, which names the field, unless counts are whole numbers of at least 1 and the regularisation is
    a positive number.
    """

    window: int = 128
    top: int = 128
    regularisation: float = 0.02
    iterations: int = 20

    def __post_init__(self) -> None:
        """Refuses what no matching can be found with."""
        for name in ("window", "top", "iterations"):
            value: object = getattr(self, name)
            if not isinstance(value, Integral):  # numpy's whole numbers too
                raise InvalidInput(f"{name} is {value!r}; give a whole number", field=name)
            if value < 1:
                raise InvalidInput(f"{name} is {value}; give at least 1", field=name)
        weight: object = self.regularisation
        if not (isinstance(weight, Real) and math.isfinite(weight) and float(weight) > 0.0):
            raise InvalidInput(f"regularisation is {weight!r}; give a positive number", field="regularisation")
