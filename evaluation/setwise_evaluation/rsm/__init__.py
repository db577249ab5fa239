"""Representational similarity matrices of images by the matching of their tokens.

    matrix = rsm(activations, kernel="cosine", threads=2)  # activations (n, c, h, w) or (n, t, d)
    matrix.values                                           # (n, n) float64
    matrix.read("rbf")                                      # another kernel, the same matching

Source: Wald et al., "Decoupling Semantic Similarity from Spatial Alignment for Neural Networks", NeurIPS 2024.
"""

from setwise_evaluation.rsm._compute import rsm
from setwise_evaluation.rsm._figure import heat_map
from setwise_evaluation.rsm._rsm import Rsm
from setwise_evaluation.rsm._summary import Summary, summarise
from setwise_evaluation.rsm._work import Progress

__all__ = ["Progress", "Rsm", "Summary", "heat_map", "rsm", "summarise"]
