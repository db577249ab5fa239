"""How good a ranking is, and how sure one can be of a difference between two.

The quality of one hit is the F1 score of its labels against the query's: 2 |Q and H| / (|Q| + |H|) over the two sets
of labels. F1@k of one query is the mean over its first k hits. "F1@1" and "mean F1@5" in our tables are the means of
F1@1 and F1@5 over all queries.

One query at a time: `label_f1`, `count_f1`, `f1_at`. All at once: `overlaps` gives the F1 of every query with every
image, `ranked` the order of the images by a similarity, `measured` every measure of that order for each query.
"""

from setwise_evaluation.retrieval._bootstrap import Estimate, bootstrap, bootstrap_rows, paired_bootstrap
from setwise_evaluation.retrieval._measures import average_precision, graded_precision, measured
from setwise_evaluation.retrieval._overlap import count_f1, f1_at, label_f1, overlaps, random_f1
from setwise_evaluation.retrieval._ranking import ranked, recall_by_candidates

__all__ = [
    "Estimate",
    "average_precision",
    "bootstrap",
    "bootstrap_rows",
    "count_f1",
    "f1_at",
    "graded_precision",
    "label_f1",
    "measured",
    "overlaps",
    "paired_bootstrap",
    "random_f1",
    "ranked",
    "recall_by_candidates",
]
