"""Exact set matching: affinity, optimal assignment, its proof, and every score read from it."""

from setwise_engine.matching._affinity import affinity, square
from setwise_engine.matching._approximate import greedy, greedy_batch, price_bounds, sinkhorn_batch
from setwise_engine.matching._assignments import Assignments
from setwise_engine.matching._blocks import Block, Blocks, Gate, block_of, key_of, split
from setwise_engine.matching._boxes import token_boxes
from setwise_engine.matching._describe import Describer
from setwise_engine.matching._gate import gate, gate_holds
from setwise_engine.matching._match import match
from setwise_engine.matching._matched_sums import MatchedSums, matched_sums
from setwise_engine.matching._paths import kernel_name
from setwise_engine.matching._proof import verify
from setwise_engine.matching._ranker import Ranker
from setwise_engine.matching._ranking import Ranked, Ranking, Stages, no_check
from setwise_engine.matching._scores import containment, score
from setwise_engine.matching._sets import half
from setwise_engine.matching._similarity import maxsim, similarity, similarity_matrix
from setwise_engine.matching._solve import assign, assign_batch, optimal_pairs
from setwise_engine.matching._token_sets import TokenSets
from setwise_engine.matching._types import Assignment, Floats, Half, Indices, Kernel, Match, Scores
from setwise_engine.matching.reference import upper_bound

__all__ = [
    "Assignment",
    "Assignments",
    "Block",
    "Blocks",
    "Describer",
    "Floats",
    "Gate",
    "Half",
    "Indices",
    "Kernel",
    "Match",
    "MatchedSums",
    "Ranked",
    "Ranker",
    "Ranking",
    "Scores",
    "Stages",
    "TokenSets",
    "affinity",
    "assign",
    "assign_batch",
    "block_of",
    "containment",
    "gate",
    "gate_holds",
    "greedy",
    "greedy_batch",
    "half",
    "kernel_name",
    "key_of",
    "match",
    "matched_sums",
    "maxsim",
    "no_check",
    "optimal_pairs",
    "price_bounds",
    "score",
    "similarity",
    "similarity_matrix",
    "sinkhorn_batch",
    "split",
    "square",
    "token_boxes",
    "upper_bound",
    "verify",
]
