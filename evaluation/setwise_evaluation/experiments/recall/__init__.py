"""How much of the exact answer the coarse stage recalls, by every coarse vector and setting, and which to use."""

from setwise_evaluation.experiments.recall._queries import collection_queries, folder_queries
from setwise_evaluation.experiments.recall._study import recall_study
from setwise_evaluation.experiments.recall._types import (
    Advice,
    Choice,
    Curve,
    DefaultAnswers,
    Query,
    RecallStudy,
    Setting,
)

__all__ = [
    "Advice",
    "Choice",
    "Curve",
    "DefaultAnswers",
    "Query",
    "RecallStudy",
    "Setting",
    "collection_queries",
    "folder_queries",
    "recall_study",
]
