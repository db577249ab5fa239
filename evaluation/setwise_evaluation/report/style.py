"""How figures look: one colour, marker and line a similarity, everywhere; nothing global is changed.

Colours are those of Okabe and Ito, "Color Universal Design" (2008), which people of every colour vision can tell
apart; markers and lines differ too, so that a grey print can be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["HEAT", "SIMILARITIES", "Look", "colours", "label_panels", "new_figure"]

colours = MappingProxyType(
    {
        "black": "#000000",
        "orange": "#E69F00",
        "sky blue": "#56B4E9",
        "green": "#009E73",
        "yellow": "#F0E442",
        "blue": "#0072B2",
        "vermillion": "#D55E00",
        "purple": "#CC79A7",
        "grey": "#6E6E6E",
    }
)
"""Okabe and Ito's eight, and a grey for what stands in the background."""

HEAT = "cividis"
"""The colour map of heat maps: its lightness grows evenly, and colour-blind people see the same (Nuñez et al. 2018)."""

_INK = "#333333"
_LINES = "#D9D9D9"


@dataclass(frozen=True, slots=True)
class Look:
    """How one similarity is named and drawn: `line` holds the keywords for `Axes.plot` and `Axes.errorbar`."""

    label: str
    colour: str
    marker: str
    dashes: str | tuple[int, tuple[int, ...]]

    @property
    def line(self) -> dict[str, Any]:
        """Keywords of a line with its markers and its name in the legend."""
        look = {"color": self.colour, "marker": self.marker, "linestyle": self.dashes, "label": self.label}
        return look | {"linewidth": 1.6, "markersize": 5}


SIMILARITIES = MappingProxyType(
    {
        "pooled": Look("pooled", colours["grey"], "s", ":"),
        "spatio-semantic": Look("spatio-semantic", colours["vermillion"], "v", "--"),
        "maxsim": Look("MaxSim", colours["orange"], "^", "-."),
        "chamfer": Look("Chamfer", colours["green"], "D", (0, (5, 1, 1, 1, 1, 1))),
        "semantic": Look("semantic", colours["blue"], "o", "-"),
    }
)
"""The similarities in the order in which every figure and table has them."""


def new_figure(columns: int = 1, rows: int = 1, width: float = 6.5, height: float = 3.6) -> tuple[Figure, NDArray[Any]]:
    """A figure of `width` by `height` inches with rows x columns panels: (figure, axes), axes of shape (rows, columns).

    Drawn without a display, and without pyplot, so that nothing outside it is changed or kept.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.flat:
        _quiet(panel)
    return figure, axes


def label_panels(axes: NDArray[Any]) -> None:
    """Letters a, b, c ... above the panels, by which a caption names them."""
    for number, panel in enumerate(axes.flat):
        panel.set_title(f"({chr(ord('a') + number)})", loc="left", fontsize=9, color=_INK)


def _quiet(panel: Axes) -> None:
    """Fine light lines behind the data, and no box around it."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(_INK)
    panel.tick_params(colors=_INK, labelsize=9)
    panel.grid(color=_LINES, linewidth=0.6)
    panel.set_axisbelow(True)
    for text in (panel.xaxis.label, panel.yaxis.label, panel.title):
        text.set_color(_INK)
        text.set_fontsize(10)
