"""What the figures show, in words with numbers, for those who cannot see them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from setwise_evaluation.experiments.translation._study import KERNELS, NAMES, Translation
from setwise_evaluation.report import style

__all__ = ["of_curves", "of_examples", "of_heat_maps", "of_histograms"]

Floats = NDArray[np.float64]


def of_examples(images: int, overlaps: Sequence[float]) -> str:
    """Of the frames on the images."""
    shifted = ", ".join(f"{overlap:g}" for overlap in overlaps if overlap < 1.0)
    return (
        f"{images} photographs side by side. On each a white square, the first crop, and coloured squares of the same "
        f"size, shifted along the longer side until the overlap is {shifted}."
    )


def of_curves(study: Translation) -> str:
    """Of detection by overlap: top-1 in every kernel."""
    overlaps = ", ".join(f"{overlap:g}" for overlap in study.overlaps)
    lines = {label: "; ".join(_line(study, name, kernel) for name in NAMES) for kernel, label in KERNELS.items()}
    kernels = [f"{label}: {line}" for label, line in lines.items()]
    return (
        "Lines that fall with the overlap of the crops, a panel a kernel; above for the share of twins found first, "
        f"below for the area under the ROC curve. Shares at overlaps {overlaps}. {'. '.join(kernels)}."
    )


def of_heat_maps(study: Translation, overlap: float, shown: int) -> str:
    """Of the matrices: means on the diagonal and off it."""
    parts = []
    for name in ("spatio-semantic", "semantic"):
        twins, others = _apart(study.matrices[overlap, name][:shown, :shown])
        parts.append(
            f"{style.SIMILARITIES[name].label} {twins.mean():.2f} on the diagonal and {others.mean():.2f} off it"
        )
    return f"Two heat maps with {shown} rows and columns. Mean similarity: {'; '.join(parts)}."


def of_histograms(study: Translation, overlap: float) -> str:
    """Of the distributions: their medians."""
    parts = []
    for name in NAMES:
        twins, others = _apart(study.matrices[overlap, name])
        parts.append(f"{style.SIMILARITIES[name].label} {np.median(twins):.2f} and {np.median(others):.2f}")
    return f"Five pairs of histograms. Medians of twins and of unrelated images: {'; '.join(parts)}."


def _line(study: Translation, name: str, kernel: str) -> str:
    values = [study.detections[overlap, name, kernel].top1.value for overlap in study.overlaps]
    return f"{style.SIMILARITIES[name].label} {', '.join(f'{value:.2f}' for value in values)}"


def _apart(matrix: Floats) -> tuple[Floats, Floats]:
    """Twins, and unrelated pairs."""
    return np.diagonal(matrix), matrix[~np.eye(len(matrix), dtype=bool)]
