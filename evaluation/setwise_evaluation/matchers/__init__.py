"""Matchings of two token sets: the exact one, none, the paper's approximations with certified gaps, and MaxSim."""

from setwise_evaluation.matchers._partners import by_norm, partners
from setwise_evaluation.matchers._tile import matched_tile
from setwise_evaluation.matchers._types import Matching, MatchingOptions

__all__ = ["Matching", "MatchingOptions", "by_norm", "matched_tile", "partners"]
