"""Comparing RSMs: is what two networks, layers or kernels take for similar the same?

Every function takes RSMs as arrays (n, n) or as `setwise_evaluation.rsm.Rsm`, of the same images in the same order.

    from setwise_evaluation.compare import bootstrap, cka, correlate, definiteness, mantel
    correlate(a, b, method="spearman")          # agreement over pairs of images
    mantel(a, b, seed=1).p_value                # against chance, by permuting images
    print(bootstrap(a, b, seed=1))              # 0.412 [0.371, 0.450], over images
    cka(a, b, debiased=True)                    # read its caveat; definiteness(a) tells whether it matters

Pairs of images are not independent, so that every test and interval here resamples images, never pairs.
"""

from setwise_evaluation.compare._bootstrap import BootstrapInterval, bootstrap
from setwise_evaluation.compare._cka import Definiteness, cka, clip_negative, definiteness
from setwise_evaluation.compare._correlate import Method, correlate, partial_correlation
from setwise_evaluation.compare._layers import LayerComparison, Measure, compare_layers
from setwise_evaluation.compare._mantel import Alternative, MantelTest, mantel
from setwise_evaluation.compare._noise_ceiling import NoiseCeiling, noise_ceiling
from setwise_evaluation.compare._rsatoolbox import to_rsatoolbox

__all__ = [
    "Alternative",
    "BootstrapInterval",
    "Definiteness",
    "LayerComparison",
    "MantelTest",
    "Measure",
    "Method",
    "NoiseCeiling",
    "bootstrap",
    "cka",
    "clip_negative",
    "compare_layers",
    "correlate",
    "definiteness",
    "mantel",
    "noise_ceiling",
    "partial_correlation",
    "to_rsatoolbox",
]
