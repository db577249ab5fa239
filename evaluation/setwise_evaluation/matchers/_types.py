"""Which matching, and what the approximations leave to choose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

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
    Raises InvalidInput, which names the field, unless counts are at least 1 and the regularisation is positive.
    """

    window: int = 128
    top: int = 128
    regularisation: float = 0.02
    iterations: int = 20

    def __post_init__(self) -> None:
        """Refuses what no matching can be found with."""
        for name in ("window", "top", "iterations"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; give at least 1", field=name)
        if not (math.isfinite(self.regularisation) and self.regularisation > 0.0):
            raise InvalidInput(
                f"regularisation is {self.regularisation}; give a positive number", field="regularisation"
            )
