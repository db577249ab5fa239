"""The report of the translation experiment: sentences and figures in their order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from setwise_evaluation.experiments.translation import _alts, _figures, _words
from setwise_evaluation.experiments.translation._crops import Box
from setwise_evaluation.experiments.translation._study import Translation
from setwise_evaluation.report import Output

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["tell"]

_OTHERS = ("spatio-semantic", "pooled", "maxsim", "chamfer")
_INTRODUCTION = """
Two crops of one image show the same things, shifted. The first crop of every image is compared with the shifted crops
of all images: its twin, the shifted crop of the same image, should be the most similar. The overlap is the share of the
first crop's side that both show; at 1 both are the same picture.
"""


def tell(
    output: Output,
    studies: Mapping[str, Translation],
    shown: float,
    images: Sequence[Image.Image],
    boxes: Sequence[Sequence[Box]],
) -> None:
    """Put it into `output`; `shown` is the overlap of heat maps and histograms, `images` and `boxes` the examples."""
    output.text(_INTRODUCTION)
    for model, study in studies.items():
        output.text(f"{model}. {_words.at_overlap(study, shown)} Beside semantic similarity:")
        output.points([_words.against_semantic(study, name) for name in _OTHERS])
    output.text("A difference is shown where its paired 95 % interval, over images, does not hold 0.")
    overlaps = next(iter(studies.values())).overlaps
    output.figure(
        "crops",
        _figures.examples(images, boxes, overlaps),
        caption="Some of the images, with the frame of the first crop and those of the shifted crops.",
        alt=_alts.of_examples(len(images), overlaps),
    )
    for model, study in studies.items():
        _figures_of(output, model if len(studies) > 1 else "", study, shown)


def _figures_of(output: Output, model: str, study: Translation, shown: float) -> None:
    end, of = (f"-{re.sub('[^a-z0-9_.]+', '-', model.lower())}", f" {model}.") if model else ("", "")
    output.figure(
        f"detection{end}",
        _figures.curves(study),
        caption=f"Finding the shifted twin, by overlap, with 95 % bootstrap intervals over images.{of}",
        alt=_alts.of_curves(study),
    )
    some = min(_figures.SHOWN, len(study.matrices[shown, "semantic"]))
    output.figure(
        f"rsm{end}",
        _figures.heat_maps(study, shown),
        caption=f"Similarity (cosine) of the first crops of {some} images with the shifted crops of the same ones, at "
        f"an overlap of {shown:g}. Twins lie on the diagonal.{of}",
        alt=_alts.of_heat_maps(study, shown, some),
    )
    output.figure(
        f"similarities{end}",
        _figures.histograms(study, shown),
        caption=f"Similarities (cosine) of shifted twins and of unrelated images, at an overlap of {shown:g}. MaxSim "
        f"and Chamfer may exceed 1, since a token may be taken more than once.{of}",
        alt=_alts.of_histograms(study, shown),
    )
