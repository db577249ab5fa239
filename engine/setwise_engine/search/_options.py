"""How to search, and what to return."""

from __future__ import annotations

import math
from dataclasses import dataclass

from setwise_engine.errors import InvalidInput
from setwise_engine.matching import Kernel

__all__ = ["Options", "default_candidates"]


def default_candidates(k: int) -> int:
    """How many images the coarse stage recalls for k hits unless the caller says."""
    return max(200, 20 * k)


@dataclass(frozen=True, slots=True)
class Options:
    """How to rank and what the hits carry.

    k: how many hits, at least 1. candidates: how many images are recalled for exact scoring, at least k; None for
    `default_candidates(k)`. kernel: cosine, inner product or rbf. min_score: hits below it are left out; None for all.
    scores, matches: every score of each hit, which token matched which. metadata: all, none or the named entries.
    Raises InvalidInput naming the field.
    """

    k: int = 10
    candidates: int | None = None
    kernel: Kernel = Kernel.COSINE
    min_score: float | None = None
    scores: bool = False
    matches: bool = False
    metadata: bool | tuple[str, ...] = False
    thumbnails: bool = False

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InvalidInput(f"k is {self.k}; ask for at least 1 hit", field="k")
        if self.candidates is not None and self.candidates < self.k:
            raise InvalidInput(
                f"candidates is {self.candidates}, fewer than k = {self.k}; recall at least k images",
                field="candidates",
            )
        if self.kernel is Kernel.CONTAINMENT:
            raise InvalidInput(
                "kernel containment cannot rank a search; ask for cosine, inner_product or rbf", field="kernel"
            )
        if self.min_score is not None and not math.isfinite(self.min_score):
            raise InvalidInput(f"min_score is {self.min_score}; give a finite number", field="min_score")
