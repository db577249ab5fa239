"""Exact set matching: affinity, optimal assignment, its proof, and every score read from it."""

from setwise_engine.matching._boxes import token_boxes
from setwise_engine.matching._match import match
from setwise_engine.matching._proof import verify
from setwise_engine.matching._scores import containment, score
from setwise_engine.matching._types import Assignment, Kernel, Match, Scores
from setwise_engine.matching.reference import affinity, assign, upper_bound

__all__ = [
    "Assignment",
    "Kernel",
    "Match",
    "Scores",
    "affinity",
    "assign",
    "containment",
    "match",
    "score",
    "token_boxes",
    "upper_bound",
    "verify",
]
