"""The figures of the matcher experiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from setwise_evaluation.experiments.matchers._quality import Quality
from setwise_evaluation.experiments.matchers._times import FUSED, LAPX, SCIPY, Cost
from setwise_evaluation.experiments.matchers._variants import EXACT
from setwise_evaluation.report import style
from setwise_evaluation.report.style import Look, colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["gap_figure", "time_figure"]

_DASH, _DOTS = "--", ":"
_LOOKS = {
    SCIPY: Look("scipy (exact)", colours["grey"], "s", _DASH),
    LAPX: Look("lapx (exact)", colours["grey"], "x", _DOTS),
    EXACT: Look("exact", colours["blue"], "o", "-"),
    FUSED: Look("exact, as an RSM does it", colours["sky blue"], "o", _DASH),
    "Sinkhorn": Look("Sinkhorn", colours["purple"], "P", "-."),
    "greedy": Look("greedy", colours["vermillion"], "v", "-"),
    "TopK-greedy 128": Look("TopK-greedy 128", colours["orange"], "^", "-"),
    "TopK-greedy 512": Look("TopK-greedy 512", colours["orange"], "<", _DASH),
    "batch-optimal 128": Look("batch-optimal 128", colours["green"], "D", "-"),
    "batch-optimal 256": Look("batch-optimal 256", colours["green"], "d", "-."),
    "batch-optimal 512": Look("batch-optimal 512", colours["green"], "h", _DASH),
    "batch-optimal 1024": Look("batch-optimal 1024", colours["green"], "*", _DOTS),
}


def time_figure(costs: Sequence[Cost]) -> Figure:
    """CPU time a pair against tokens, both axes logarithmic: the matching alone, and with the affinity it needs."""
    figure, axes = style.new_figure(2, 1, width=10.0, height=4.8)
    alone, whole = axes[0]
    _lines(alone, [(one.matcher, one.tokens, one.matching * 1e3) for one in costs if one.affinity is not None])
    _lines(whole, [(one.matcher, one.tokens, one.total * 1e3) for one in costs])
    affinity = sorted({(one.tokens, one.affinity * 1e3) for one in costs if one.matcher == EXACT and one.affinity})
    alone.plot(*zip(*affinity, strict=True), color=colours["black"], linewidth=3.0, alpha=0.35, label="affinity")
    _dressed(alone, costs, "matching alone", "CPU time a pair, one thread (ms)")
    _dressed(whole, costs, "affinity and matching", "")
    whole.set_ylim(alone.get_ylim()[0], max(panel.get_ylim()[1] for panel in (alone, whole)))
    alone.set_ylim(whole.get_ylim())
    handles = {
        label: handle
        for panel in (alone, whole)
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside right center", fontsize=9, frameon=False)
    return figure


def gap_figure(found: Sequence[Quality]) -> Figure:
    """What approximations lose against tokens, and what is certified of it, in per cent of the optimum."""
    figure, axes = style.new_figure(2, 1, width=10.0, height=4.4)
    measured = [one for one in found if one.matcher != EXACT and one.loss is not None]
    losses = [(one.matcher, one.tokens, 100.0 * (one.loss or 0.0)) for one in measured]
    certified = [(one.matcher, one.tokens, 100.0 * (one.certified or 0.0)) for one in measured]
    _lines(axes[0, 0], losses)
    _lines(axes[0, 1], certified)
    _dressed(axes[0, 0], measured, "true: against the optimum", "missing of the optimum (%)")
    _dressed(axes[0, 1], measured, "certified: against a bound by prices", "")
    high = max(panel.get_ylim()[1] for panel in axes[0])
    for panel in axes[0]:
        panel.set(yscale="linear", ylim=(0.0, high))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=9, frameon=False)
    return figure


def _lines(panel: Axes, points: Sequence[tuple[str, int, float]]) -> None:
    """A line a matcher through (matcher, tokens, value)."""
    for name, look in _LOOKS.items():
        own = [(tokens, value) for matcher, tokens, value in points if matcher == name and value > 0.0]
        if own:
            panel.plot(*zip(*own, strict=True), **look.line)


def _dressed(panel: Axes, rows: Sequence[Cost] | Sequence[Quality], title: str, label: str) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    sizes = sorted({one.tokens for one in rows})
    panel.set(xscale="log", yscale="log", xlabel="tokens an image", ylabel=label)
    panel.set_title(title, fontsize=11)
    panel.set_xticks(sizes, [str(n) for n in sizes], rotation=60, ha="right", rotation_mode="anchor")
    panel.xaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
