"""How to search, and what to return."""

from __future__ import annotations

import math
from dataclasses import dataclass

from setwise_engine.errors import InvalidInput
from setwise_engine.filters import Filter
from setwise_engine.matching import Kernel

__all__ = ["Options", "default_candidates"]


def default_candidates(k: int) -> int:
    """How many images the coarse stage recalls for k hits unless the caller says."""
    return max(200, 20 * k)


@dataclass(frozen=True, slots=True)
class Options:
    """How to rank and what the hits carry.

    k: how many hits, at least 1. candidates: how many images are recalled for exact scoring, at least k; None for
    `default_candidates(k)`. exhaustive: every image is a candidate, so that the answer is proven for the whole
    collection; None leaves it to the searcher, which does so for queries with a region in small collections.
    kernel: what ranks; None for the cosine, and for containment when a region is asked for.
    min_score: hits below it are left out; None for all. scores, matches, proofs: every score of each hit, which token
    matched which, the prices that prove it. metadata: all, none or the named entries.
    answer_by: when, as `time.perf_counter()` counts, the ranking stops and answers with the best of the candidates that
    it has examined; None for never. Hits are fetched after that, so leave time for it.
    Raises InvalidInput naming the field.
    """

    k: int = 10
    candidates: int | None = None
    kernel: Kernel | None = None
    min_score: float | None = None
    scores: bool = False
    matches: bool = False
    metadata: bool | tuple[str, ...] = False
    thumbnails: bool = False
    exhaustive: bool | None = None
    proofs: bool = False
    where: Filter | None = None
    group_by: str | None = None
    group_size: int = 1
    answer_by: float | None = None

    def kernel_for(self, *, region: bool) -> Kernel:
        """What ranks a query, of the whole picture or of a region."""
        if self.kernel is not None:
            return self.kernel
        return Kernel.CONTAINMENT if region else Kernel.COSINE

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InvalidInput(f"k is {self.k}; ask for at least 1 hit", field="k")
        if self.candidates is not None and self.candidates < self.k:
            raise InvalidInput(
                f"candidates is {self.candidates}, fewer than k = {self.k}; recall at least k images",
                field="candidates",
            )
        if self.candidates is not None and self.exhaustive:
            raise InvalidInput(
                f"candidates is {self.candidates}, but an exhaustive search scores every image; leave one of them out",
                field="candidates",
            )
        if self.group_by == "":
            raise InvalidInput("group_by is empty; name a metadata field, or leave it out", field="group_by")
        if self.group_size < 1:
            raise InvalidInput(f"group_size is {self.group_size}; allow at least 1 hit of a group", field="group_size")
        if self.min_score is not None and not math.isfinite(self.min_score):
            raise InvalidInput(f"min_score is {self.min_score}; give a finite number", field="min_score")
