"""The figures of the translation experiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from setwise_evaluation.experiments.translation._crops import Box
from setwise_evaluation.experiments.translation._study import KERNELS, Translation
from setwise_evaluation.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL import Image

__all__ = ["SHOWN", "curves", "examples", "heat_maps", "histograms"]

SHOWN = 24
_BINS = 60
_MEASURES = {
    "top1": "twin is the most similar\n(share of images)",
    "auc": "twins above unrelated pairs\n(area under ROC)",
}
_COSINE = "cosine"


def examples(images: Sequence[Image.Image], boxes: Sequence[Sequence[Box]], overlaps: Sequence[float]) -> Figure:
    """Some images with the frames of their first crop (white) and of every shifted one, in the overlap's colour."""
    from matplotlib.patches import Rectangle

    figure, axes = style.new_figure(len(images), 1, width=9.0, height=2.75)
    for panel, image, frames in zip(axes[0], images, boxes, strict=True):
        panel.imshow(np.asarray(image), interpolation="antialiased")
        panel.set_axis_off()
        named = [("first crop", "white"), *_frames(overlaps)]
        for number, ((left, top, right, bottom), (name, colour)) in enumerate(zip(frames, named, strict=True)):
            if number and frames[0] == (left, top, right, bottom):
                continue  # no shift: the first crop again
            inset = 3 * number  # frames share their long sides: side by side they can all be seen
            corner = (left, top + inset)
            frame = Rectangle(corner, right - left, bottom - top - 2 * inset, fill=False, linewidth=2.0)
            frame.set(edgecolor=colour, label=name)
            panel.add_patch(frame)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9, facecolor="#8c8c8c",
                  labelcolor="white", framealpha=1.0)  # fmt: skip
    return figure


def _frames(overlaps: Sequence[float]) -> list[tuple[str, str]]:
    shades = [style.colours[name] for name in ("yellow", "sky blue", "orange", "vermillion", "purple", "green", "blue")]
    return [(f"overlap {o:g}", shades[place % len(shades)]) for place, o in enumerate(overlaps)]


def heat_maps(study: Translation, overlap: float, *, shown: int = SHOWN) -> Figure:
    """Similarities of some first crops with their shifted crops, spatio-semantic beside semantic, on one scale."""
    figure, axes = style.new_figure(2, 1, width=9.0, height=4.5)
    pair = [study.matrices[overlap, name][:shown, :shown] for name in ("spatio-semantic", "semantic")]
    low, high = min(matrix.min() for matrix in pair), max(matrix.max() for matrix in pair)
    for panel, matrix, name in zip(axes[0], pair, ("spatio-semantic", "semantic"), strict=True):
        drawn = panel.imshow(matrix, vmin=low, vmax=high, cmap=style.HEAT, interpolation="nearest")
        panel.grid(visible=False)
        panel.set_title(f"{style.SIMILARITIES[name].label}", fontsize=11)
        panel.set_xlabel("shifted crop of image")
        panel.set_ylabel("first crop of image")
        ticks = np.arange(0, len(matrix), 4)
        panel.set_xticks(ticks, ticks + 1)
        panel.set_yticks(ticks, ticks + 1)
    bar = figure.colorbar(drawn, ax=axes[0].tolist(), shrink=0.82, pad=0.02)
    bar.set_label("similarity (cosine)", fontsize=10)
    bar.ax.tick_params(labelsize=9)
    return figure


def histograms(study: Translation, overlap: float) -> Figure:
    """How similar twins and unrelated images are: one strip a similarity, on one scale."""
    names = list(style.SIMILARITIES)
    figure, axes = style.new_figure(1, len(names), width=7.0, height=6.2)
    matrices = [study.matrices[overlap, name] for name in names]
    low, high = min(matrix.min() for matrix in matrices), max(matrix.max() for matrix in matrices)
    edges = np.linspace(min(0.0, low), max(1.0, high), _BINS + 1).tolist()
    for panel, name, matrix in zip(axes[:, 0], names, matrices, strict=True):
        _strip(panel, matrix, edges, style.SIMILARITIES[name].colour)
        area = study.detections[overlap, name, _COSINE].auc
        panel.set_title(style.SIMILARITIES[name].label, loc="left", fontsize=10, pad=3)
        panel.set_title(f"area under ROC {area:.3f}", loc="right", fontsize=9, pad=3)
        panel.sharex(axes[0, 0])
        panel.tick_params(labelbottom=name == names[-1])
    axes[-1, 0].set_xlabel("similarity (cosine)")
    figure.supylabel("share of pairs in each bin", fontsize=10)
    axes[0, 0].legend(fontsize=9, loc="upper left", frameon=False)
    return figure


def _strip(panel: Axes, matrix: NDArray[np.float64], edges: list[float], colour: str) -> None:
    twins = np.diagonal(matrix)
    others = matrix[~np.eye(len(matrix), dtype=bool)]
    weights = [np.full(len(values), 1.0 / len(values)) for values in (others, twins)]
    panel.hist(others, edges, weights=weights[0], color="#B5B5B5", label="unrelated images")
    panel.hist(twins, edges, weights=weights[1], histtype="step", color=colour, linewidth=1.8, label="shifted twins")
    panel.hist(twins, edges, weights=weights[1], color=colour, alpha=0.35)


def curves(study: Translation) -> Figure:
    """Detection against overlap: a column a kernel, a row a measure, a line a similarity with its 95 % intervals."""
    figure, axes = style.new_figure(len(KERNELS), len(_MEASURES), width=9.5, height=5.6)
    for row, (measure, label) in enumerate(_MEASURES.items()):
        for column, kernel in enumerate(KERNELS):
            panel = axes[row, column]
            _lines(panel, study, kernel, measure)
            panel.set_ylim(_lowest(study, measure), 1.02)
            panel.invert_xaxis()
            if row == 0:
                panel.set_title(KERNELS[kernel], fontsize=11)
            else:
                panel.set_xlabel("overlap (share of the side)")
            panel.tick_params(labelleft=column == 0, labelbottom=row == len(_MEASURES) - 1)
        axes[row, 0].set_ylabel(label)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=10, frameon=False)
    return figure


def _lowest(study: Translation, measure: str) -> float:
    """Where the upward axis begins: at 0 for shares, and for areas, of which chance has 0.5, below the lowest."""
    lowest = min(getattr(one, measure).low for one in study.detections.values())
    return 0.0 if measure == "top1" else min(0.5, lowest) - 0.02


def _lines(panel: Axes, study: Translation, kernel: str, measure: str) -> None:
    for place, (name, look) in enumerate(style.SIMILARITIES.items()):
        estimates = [getattr(study.detections[overlap, name, kernel], measure) for overlap in study.overlaps]
        values = np.array([estimate.value for estimate in estimates])
        reach = np.array([[e.value - e.low for e in estimates], [e.high - e.value for e in estimates]])
        aside = 0.006 * (place - 2)  # beside each other, so that intervals do not cover one another
        where = np.array(study.overlaps) + aside
        panel.errorbar(where, values, np.maximum(reach, 0.0), capsize=2, elinewidth=0.9, **look.line)
    panel.set_xticks(study.overlaps, [f"{overlap:g}" for overlap in study.overlaps])
