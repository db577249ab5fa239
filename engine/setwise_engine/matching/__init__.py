"""Exact set matching: affinity, optimal assignment, its proof, and every score read from it."""

from setwise_engine.matching._affinity import affinity, kernel_name
from setwise_engine.matching._boxes import token_boxes
from setwise_engine.matching._match import describe, half, match
from setwise_engine.matching._proof import verify
from setwise_engine.matching._scores import containment, score
from setwise_engine.matching._types import Assignment, Floats, Half, Indices, Kernel, Match, Scores
from setwise_engine.matching.reference import assign, optimal_pairs, square, upper_bound

__all__ = [
    "Assignment",
    "Floats",
    "Half",
    "Indices",
    "Kernel",
    "Match",
    "Scores",
    "affinity",
    "assign",
    "containment",
    "describe",
    "half",
    "kernel_name",
    "match",
    "optimal_pairs",
    "score",
    "square",
    "token_boxes",
    "upper_bound",
    "verify",
]
