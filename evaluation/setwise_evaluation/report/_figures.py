"""Figures as files whose bytes depend on nothing but the figure, and what they show, in words."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["described", "png_bytes", "svg_bytes"]

_DPI = 150
_SALT = "setwise"
_BAR = "<colorbar>"
"""What matplotlib calls the axes of a colour bar."""


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG, 150 dots an inch, without the name of what wrote it."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=_DPI, metadata={"Software": None})
    return out.getvalue()


def svg_bytes(figure: Figure) -> bytes:
    """The figure as SVG without a date, its ids hashed with a fixed salt, letters drawn as paths."""
    import matplotlib

    out = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": _SALT, "svg.fonttype": "path"}):
        figure.savefig(out, format="svg", dpi=_DPI, metadata={"Date": None, "Creator": None})
    return out.getvalue()


def described(figure: Figure) -> str:
    """A text for those who cannot see the figure: each panel's title, axes and what its legend names."""
    panels = sum(axes.get_label() != _BAR for axes in figure.axes)
    said = [text for axes in figure.axes if (text := _panel(axes))]
    return f"Figure of {panels} panels. " * (panels > 1) + ". ".join(said) + "."


def _panel(axes: Axes) -> str:
    title = axes.get_title() or axes.get_title(loc="left")
    across, along = axes.get_xlabel(), axes.get_ylabel()
    if axes.get_label() == _BAR:
        return f"colours: {along or across}".replace("\n", " ")
    way = "downwards" if axes.yaxis_inverted() else "upwards"
    sides = [across and f"across: {across}", along and f"{way}: {along}"]
    names = [str(label) for label in axes.get_legend_handles_labels()[1]]
    parts = [title, *sides, names and "shown: " + ", ".join(names)]
    return "; ".join(str(part).replace("\n", " ") for part in parts if part)
