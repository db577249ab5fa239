"""The figure of the recall study: recall by candidates, and by what a query costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from setwise_evaluation.experiments.recall._types import Curve, RecallStudy
from setwise_evaluation.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["figure_of"]

_LOOKS = MappingProxyType(
    {
        "mean": ("grey", "s", ":"),
        "sqrtcov16": ("purple", "v", "--"),
        "sqrtcov32": ("green", "^", "-."),
        "sqrtcov64": ("sky blue", "D", "--"),
        "mean+sqrtcov32": ("orange", "P", "-."),
        "mean+sqrtcov64": ("blue", "o", "-"),
    }
)
"""Colour, marker and line of each kind of coarse vector."""

_LEAST_TOP = 0.75
_LEAST_RATIO = 7.0
_TICKS = tuple(step * 10.0**power for power in range(-3, 6) for step in (1, 2, 5))
_ADVISED: dict[str, Any] = {
    "marker": "o",
    "markersize": 13,
    "markerfacecolor": "none",
    "markeredgewidth": 1.6,
    "linestyle": "",
}


def figure_of(study: RecallStudy) -> Figure:
    """Recall by number of candidates, in the exact coarse order, and by nominal time over all settings."""
    figure, axes = style.new_figure(2, 1, width=10.0, height=4.6)
    left, right = axes[0]
    flat = [curve for curve in study.curves[1:] if curve.setting.index == "Flat"]
    for curve in flat:
        _by_candidates(left, study, curve)
        _by_cost(right, study, curve.setting.coarse)
    if study.curves[0].setting.index != "Flat":
        means = [estimate.value for estimate in study.curves[0].recall]
        left.plot(study.counts, means, color=style.colours["black"], linestyle=":", label="the collection as it is")
    for panel in (left, right):
        panel.axhline(study.advice.wanted, color=style.colours["vermillion"], linewidth=1.2, label="wanted recall")
    _mark_advice(left, right, study)
    _label(left, right, study)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9, frameon=False, handlelength=3.5)
    return figure


def _by_candidates(panel: Axes, study: RecallStudy, curve: Curve) -> None:
    line = _line(curve.setting.coarse)
    panel.plot(study.counts, [one.value for one in curve.recall], label=curve.setting.coarse, **line)
    low, high = [one.low for one in curve.recall], [one.high for one in curve.recall]
    panel.fill_between(study.counts, low, high, color=line["color"], alpha=0.15, linewidth=0)


def _by_cost(panel: Axes, study: RecallStudy, coarse: str) -> None:
    """What one kind gives at best for a cost, over its indexes and numbers of candidates."""
    points = [
        (cost, estimate.value)
        for curve in study.curves
        if curve.setting.coarse == coarse
        for cost, estimate in zip(curve.nominal_ms, curve.recall, strict=True)
    ]
    best = _frontier(points)
    panel.plot([cost for cost, _ in best], [recall for _, recall in best], **_line(coarse))


def _line(coarse: str) -> dict[str, Any]:
    colour, marker, dashes = _LOOKS[coarse]
    look = {"color": style.colours[colour], "marker": marker, "linestyle": dashes}
    return look | {"linewidth": 1.6, "markersize": 4}


def _frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that none beats in recall at the same or a smaller cost, by rising cost."""
    best: list[tuple[float, float]] = []
    for cost, recall in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or recall > best[-1][1]:
            best.append((cost, recall))
    return best


def _mark_advice(left: Axes, right: Axes, study: RecallStudy) -> None:
    """A ring around what is advised, in both panels."""
    choice, name = study.advice.cheapest or study.advice.nearest, "advised" if study.advice.cheapest else "nearest"
    ring = _ADVISED | {"color": style.colours["black"]}
    left.plot([choice.candidates], [choice.recall.value], label=name, **ring)
    right.plot([choice.nominal_ms], [choice.recall.value], **ring)


def _label(left: Axes, right: Axes, study: RecallStudy) -> None:
    lowest = min(curve.recall[0].low for curve in study.curves)
    costs = [cost for curve in study.curves for cost in curve.nominal_ms]
    for panel, first, last in ((left, study.counts[0], study.counts[-1]), (right, min(costs), max(costs))):
        _log_axis(panel, first, last)
        panel.set_ylim(max(0.0, min(lowest - 0.05, _LEAST_TOP)), 1.03)
        panel.set_ylabel(f"share of the exact top {study.k} recalled")
    left.set_xlabel("candidates K (images recalled)")
    left.set_title("(a) exact coarse order", loc="left", fontsize=10)
    right.set_xlabel("nominal time of a query (ms)")
    right.set_title("(b) best of all settings for the time", loc="left", fontsize=10)


def _log_axis(panel: Axes, first: float, last: float) -> None:
    """So wide that at least two ticks lie in it, also where all values are one."""
    wide = max(1.25, math.sqrt(_LEAST_RATIO * first / last))
    panel.set_xscale("log")
    panel.set_xlim(first / wide, last * wide)
    ticks = [tick for tick in _TICKS if first / wide <= tick <= last * wide]
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.minorticks_off()
