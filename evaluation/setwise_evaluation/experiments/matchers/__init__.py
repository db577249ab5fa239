"""Exact matching against the paper's approximations: what each costs and loses, from 49 to 4096 tokens.

Source: Wald et al., "Decoupling Semantic Similarity from Spatial Alignment for Neural Networks", NeurIPS 2024, the
appendix on approximations. In a notebook: `quality(tokens)` and `times(tokens)` take tokens (n, t, d) of any network.
"""

from setwise_evaluation.experiments.matchers._command import configure, run
from setwise_evaluation.experiments.matchers._quality import Quality, quality
from setwise_evaluation.experiments.matchers._times import Cost, times
from setwise_evaluation.experiments.matchers._variants import VARIANTS, Variant, variants_for
from setwise_evaluation.experiments.matchers._verdict import verdict

__all__ = [
    "HELP",
    "VARIANTS",
    "Cost",
    "Quality",
    "Variant",
    "configure",
    "quality",
    "run",
    "times",
    "variants_for",
    "verdict",
]

HELP = "exact matching against its approximations: run time and quality by number of tokens"
