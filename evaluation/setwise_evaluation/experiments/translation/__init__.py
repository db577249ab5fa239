"""Translation: partially overlapping crops of one image, and which similarity still knows them for the same image.

Source: Wald et al., "Decoupling Semantic Similarity from Spatial Alignment for Neural Networks", NeurIPS 2024. In a
notebook: `translation(first, [(0.5, shifted)])` takes tokens of any network and gives every measure and matrix.
"""

from setwise_evaluation.experiments.translation._command import configure, run
from setwise_evaluation.experiments.translation._crops import crops
from setwise_evaluation.experiments.translation._detect import Detection, Draws, detect, difference
from setwise_evaluation.experiments.translation._study import Translation, readings, translation

__all__ = [
    "HELP",
    "Detection",
    "Draws",
    "Translation",
    "configure",
    "crops",
    "detect",
    "difference",
    "readings",
    "run",
    "translation",
]

HELP = "shifted crops of one image: which similarity finds the twin, by overlap and kernel"
