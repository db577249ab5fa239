"""Retrieval: how well the labels of the first hits agree with the query's, by every similarity and kernel.

    sums = matched_sums_of(queries, database, threads=2)               # tokens (n, t, d); five matrices of sums
    study = retrieval(readings(sums), query_labels, database_labels)   # labels: sets, or Counters where numbers matter
    study.estimates[Reading("semantic", "cosine")]["F1@5"]             # a mean over queries with its interval

Source: Wald et al., "Decoupling Semantic Similarity from Spatial Alignment for Neural Networks", NeurIPS 2024.
"""

from setwise_evaluation.experiments.retrieval._command import configure, run
from setwise_evaluation.experiments.retrieval._similarities import matched_sums_of, readings
from setwise_evaluation.experiments.retrieval._study import retrieval
from setwise_evaluation.experiments.retrieval._types import Reading, Retrieval

__all__ = ["HELP", "Reading", "Retrieval", "configure", "matched_sums_of", "readings", "retrieval", "run"]

HELP = "label overlap of the first hits, by every similarity and kernel, with intervals over queries"
