"""One figure for a network: F1@k by similarity, and every similarity and kernel with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from setwise_evaluation.experiments.retrieval._tables import name_of
from setwise_evaluation.experiments.retrieval._types import APART, KERNELS, SIMILARITIES, Reading, Retrieval
from setwise_evaluation.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw"]

_MARKERS = {"cosine": "o", "inner_product": "s", "rbf": "^"}


def draw(studies: Sequence[tuple[str, Retrieval]]) -> Figure:
    """A row for each case: its curves in the cosine kernel on the left, dots with intervals on the right."""
    figure, axes = style.new_figure(2, len(studies), width=8.0, height=3.2 * len(studies) + 0.7)
    for (left, right), (name, study) in zip(axes, studies, strict=True):
        _curves(left, study, name)
        _dots(right, study, name)
    figure.align_ylabels(axes[:, 0])
    look: dict[str, Any] = {"fontsize": 8, "frameon": False}
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), **look)
    handles, labels = axes[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", ncols=len(labels), **look)
    return figure


def _curves(panel: Axes, study: Retrieval, name: str) -> None:
    """Mean F1 of the first k hits by k; chance as a line."""
    for similarity, look in style.SIMILARITIES.items():
        reading = Reading(similarity, "cosine")
        if reading in study.estimates:
            values = [study.estimates[reading][f"F1@{k}"].value for k in study.ks]
            panel.plot(study.ks, values, **look.line | {"label": name_of(reading)[0]})
    panel.axhline(study.chance[f"F1@{study.ks[0]}"], color=style.colours["black"], linewidth=0.9, linestyle=(0, (1, 2)))
    panel.set_xscale("log")
    panel.set_xticks(study.ks, [str(k) for k in study.ks])
    panel.minorticks_off()
    panel.set_xlabel("k, number of first hits")
    numbers = " of counted labels" if APART in study.measures else ""
    panel.set_ylabel(f"mean F1@k{numbers}")
    panel.set_title(f"{name}: cosine kernel (dotted line: chance)", fontsize=9)


def _dots(panel: Axes, study: Retrieval, name: str) -> None:
    """A row for each similarity, a mark in it for each kernel."""
    measure = APART if APART in study.chance else f"F1@{study.ks[min(1, len(study.ks) - 1)]}"
    similarities = [name for name in SIMILARITIES if Reading(name, "cosine") in study.estimates]
    for row, similarity in enumerate(reversed(similarities)):
        colour = style.SIMILARITIES[similarity.removesuffix("-image")].colour
        for place, kernel in enumerate(KERNELS):
            estimate = study.estimates.get(Reading(similarity, kernel), {}).get(measure)
            if estimate is None:
                continue
            ends = [[estimate.value - estimate.low], [estimate.high - estimate.value]]
            mark: dict[str, Any] = {
                "marker": _MARKERS[kernel],
                "color": colour,
                "markersize": 5,
                "capsize": 2,
                "linewidth": 1.2,
            }
            panel.errorbar(estimate.value, row + 0.24 * (1 - place), xerr=ends, **mark)
    panel.axvline(study.chance[measure], color=style.colours["black"], linewidth=0.9, linestyle=(0, (1, 2)))
    names = [name_of(Reading(similarity, ""))[0].replace(", ", ",\n") for similarity in reversed(similarities)]
    panel.set_yticks(range(len(similarities)), names, fontsize=8)
    what = "share told apart" if measure == APART else f"mean {measure}"
    panel.set_xlabel(f"{what}, 95 % interval")
    panel.set_title(f"{name}: every kernel (dotted line: chance)", fontsize=9)
    for kernel in KERNELS:
        grey: dict[str, Any] = {"color": style.colours["grey"], "linestyle": "none", "marker": _MARKERS[kernel]}
        panel.plot([], [], label=f"{name_of(Reading('', kernel))[1]} kernel", **grey)
