"""The matchers that are compared, each with its settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from setwise_evaluation.matchers import Matching, MatchingOptions

__all__ = ["EXACT", "VARIANTS", "Variant", "variants_for"]


@dataclass(frozen=True, slots=True)
class Variant:
    """One matcher with its settings, under the name that tables have."""

    name: str
    matching: Matching
    options: MatchingOptions = field(default_factory=MatchingOptions)

    def differs_from_exact(self, tokens: int) -> bool:
        """False where the matcher is the exact one: a window, or a top, that holds all tokens."""
        whole = {Matching.BATCH_OPTIMAL: self.options.window, Matching.TOPK_GREEDY: self.options.top}
        return whole.get(self.matching, 0) < tokens


EXACT = "exact"

VARIANTS = (
    Variant(EXACT, Matching.EXACT),
    Variant("greedy", Matching.GREEDY),
    *(Variant(f"TopK-greedy {top}", Matching.TOPK_GREEDY, MatchingOptions(top=top)) for top in (128, 512)),
    *(
        Variant(f"batch-optimal {window}", Matching.BATCH_OPTIMAL, MatchingOptions(window=window))
        for window in (128, 256, 512, 1024)
    ),
    Variant("Sinkhorn", Matching.SINKHORN),
)
"""In the order of every table: the exact one first."""


def variants_for(tokens: int) -> list[Variant]:
    """Those that differ from the exact matching for sets of so many tokens, and the exact one."""
    return [one for one in VARIANTS if one.name == EXACT or one.differs_from_exact(tokens)]
