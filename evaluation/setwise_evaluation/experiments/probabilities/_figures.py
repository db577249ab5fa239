"""The figures of the experiment on class probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from setwise_evaluation.experiments.probabilities._study import KERNELS, METHODS, Agreement
from setwise_evaluation.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["dots", "kernel_label", "pairs"]

_SHOWN = ("spatio-semantic", "semantic")
_COSINE = "cosine"
_CELLS = 48
_PLATE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85}


def kernel_label(kernel: str) -> str:
    """A kernel's name as people write it."""
    return {"rbf": "RBF"}.get(kernel, kernel.replace("_", " "))


def pairs(found: Agreement) -> Figure:
    """Cosine similarity against negative divergence, a hexagon's colour by its number of pairs of images."""
    from matplotlib.ticker import LogLocator

    figure, axes = style.new_figure(len(_SHOWN), 1, width=8.5, height=3.7)
    upper = np.triu(np.ones(found.divergence.shape, dtype=bool), k=1)
    alike = -found.divergence[upper]
    similar = [found.values[name, _COSINE][upper] for name in _SHOWN]
    reach = (min(part.min() for part in similar), max(part.max() for part in similar), alike.min(), alike.max())
    drawn = [_hexagons(panel, part, alike, reach) for panel, part in zip(axes[0], similar, strict=True)]
    highest = max(float(one.get_array().max()) for one in drawn)
    for panel, name, one in zip(axes[0], _SHOWN, drawn, strict=True):
        one.set_clim(1, highest)
        said = [f"{method.capitalize()} {found.correlations[method, name, _COSINE].value:.3f}" for method in METHODS]
        panel.text(0.97, 0.04, "\n".join(said), transform=panel.transAxes, ha="right", fontsize=9, bbox=_PLATE)
        panel.set_title(style.SIMILARITIES[name].label, fontsize=11)
        panel.set_xlabel("similarity (cosine)")
    axes[0, 0].set_ylabel("negative Jensen-Shannon\ndivergence (bits)")
    bar = figure.colorbar(drawn[-1], ax=axes[0].tolist(), pad=0.02, ticks=LogLocator(subs=(1, 2, 5)), format="%d")
    bar.set_label("pairs of images (log scale)", fontsize=10)
    bar.ax.tick_params(labelsize=9)
    bar.minorticks_off()
    return figure


def _hexagons(
    panel: Axes, similar: NDArray[np.float64], alike: NDArray[np.float64], reach: tuple[float, float, float, float]
) -> Any:
    return panel.hexbin(
        similar, alike, gridsize=_CELLS, bins="log", mincnt=1, extent=reach, cmap=style.HEAT, linewidths=0.1
    )


def dots(found: Agreement) -> Figure:
    """Every correlation with its interval: a column a kernel, a row a method, a dot a similarity."""
    figure, axes = style.new_figure(len(KERNELS), len(METHODS), width=8.5, height=4.4)
    names = [name for name in style.SIMILARITIES if (METHODS[0], name, _COSINE) in found.correlations]
    reach = _reach(found)
    for row, method in enumerate(METHODS):
        for column, kernel in enumerate(KERNELS):
            panel = axes[row, column]
            _column(panel, found, method, kernel.value, names)
            panel.set_xlim(*reach)
            panel.tick_params(labelleft=column == 0, labelbottom=row == len(METHODS) - 1)
            if row == 0:
                panel.set_title(kernel_label(kernel.value), fontsize=11)
        axes[row, 0].set_ylabel(f"{method.capitalize()}")
    axes[-1, 1].set_xlabel("correlation of similarity with negative divergence, 95 % interval over images")
    return figure


def _column(panel: Axes, found: Agreement, method: str, kernel: str, names: list[str]) -> None:
    for height, name in enumerate(names):
        look, one = style.SIMILARITIES[name], found.correlations.get((method, name, kernel))
        if one is None:  # no RBF
            continue
        reach = [[max(one.value - one.low, 0.0)], [max(one.high - one.value, 0.0)]]
        panel.errorbar(
            one.value, height, xerr=reach, color=look.colour, marker=look.marker, markersize=6, capsize=3, linewidth=1.6
        )
    panel.set_yticks(range(len(names)), [style.SIMILARITIES[name].label for name in names])
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.axvline(0.0, color="#333333", linewidth=0.8)


def _reach(found: Agreement) -> tuple[float, float]:
    """What the intervals of all panels span, and 0, with a little air."""
    low = min(0.0, *(one.low for one in found.correlations.values()))
    high = max(0.0, *(one.high for one in found.correlations.values()))
    air = 0.04 * (high - low)
    return low - air * (low < 0.0), high + air
