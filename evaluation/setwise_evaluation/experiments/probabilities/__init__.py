"""Class probabilities: do images that a similarity takes for alike also get like predictions?

Source: Wald et al., "Decoupling Semantic Similarity from Spatial Alignment for Neural Networks", NeurIPS 2024, the
experiment on output probabilities: the correlation, over pairs of images, of similarities of a network's last feature
map with the negative Jensen-Shannon divergence of the class probabilities that the same network predicts.

In a notebook:

    seen = classify(paths)
    found = agreement(similarities(seen.tokens, threads=2), jensen_shannon_matrix(seen.probabilities))
    print(found.correlations["pearson", "semantic", "cosine"])        # 0.495 [0.470, 0.519]
    print(found.differences["pearson", "spatio-semantic", "cosine"])  # semantic less spatio-semantic, paired
"""

from setwise_evaluation.experiments.probabilities._command import configure, run
from setwise_evaluation.experiments.probabilities._study import Agreement, agreement, similarities

__all__ = ["HELP", "Agreement", "agreement", "configure", "run", "similarities"]

HELP = "class probabilities: which similarity agrees with what the network predicts"
