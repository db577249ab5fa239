"""How much of the exact answer the coarse stage recalls, by every coarse vector and setting, and which to use.

with Collection.open("photos.setwise", read_only=True) as collection:
    study = recall_study(collection, sample=100, k=10, recall=0.99)
print(*study.advice.text, sep="\n")
"""

from setwise_evaluation.experiments.recall._command import configure, run
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
    "HELP",
    "Advice",
    "Choice",
    "Curve",
    "DefaultAnswers",
    "Query",
    "RecallStudy",
    "Setting",
    "collection_queries",
    "configure",
    "folder_queries",
    "recall_study",
    "run",
]

HELP = "how much of the exact answer the coarse stage recalls, and which setting to use for a wanted recall"
