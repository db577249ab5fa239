"""Style: every similarity has a look of its own, and figures need no display."""

from __future__ import annotations

import sys

import numpy as np

from setwise_evaluation.report import style


def test_every_similarity_differs_in_colour_marker_and_dashes() -> None:
    looks = list(style.SIMILARITIES.values())
    for part in ("label", "colour", "marker", "dashes"):
        assert len({getattr(look, part) for look in looks}) == len(looks)
    assert list(style.SIMILARITIES) == ["pooled", "spatio-semantic", "maxsim", "chamfer", "semantic"]


def test_text_and_lines_stand_out_from_white() -> None:
    used = [look.colour for look in style.SIMILARITIES.values()]
    assert all(contrast(colour) >= 2.0 for colour in used)
    assert set(used) <= set(style.colours.values())


def contrast(colour: str) -> float:
    """Contrast with white as WCAG 2 defines it."""
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255.0
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05))


def test_a_figure_has_rows_and_columns_and_no_pyplot() -> None:
    figure, axes = style.new_figure(3, 2, width=6.0, height=4.0)
    assert axes.shape == (2, 3)
    assert tuple(figure.get_size_inches()) == (6.0, 4.0)
    style.label_panels(axes)
    assert [panel.get_title(loc="left") for panel in axes.flat] == ["(a)", "(b)", "(c)", "(d)", "(e)", "(f)"]
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
