"""What the report says: tables, figures and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from setwise_evaluation.experiments.matchers._figures import gap_figure, time_figure
from setwise_evaluation.experiments.matchers._times import Cost
from setwise_evaluation.experiments.matchers._verdict import exact_total, of_the_rsm, verdict

if TYPE_CHECKING:
    from setwise_evaluation.experiments.matchers._quality import Quality
    from setwise_evaluation.report import Output

__all__ = ["tell"]

_QUALITY = """Loss: what the matched sum misses of the optimum, per cent, over pairs of different images (median and
worst). Certified: what is known of it without an exact solution, from feasible prices. Pearson and Spearman: of the
cosine RSM with the exact one, over pairs of different images, where there are 10 images or more. Windows and tops that
hold all tokens are the exact matching and are left out."""
_TIMES = """CPU time of one thread for a pair, milliseconds. Affinity: of the inner products that the matcher needs, in
float32 (batch-optimal needs those inside its windows only; an RSM of exact matchings makes its own). Sinkhorn's time
includes its certified gap; exact's its proof. Last column: total, in totals of the faster exact way at that size.
TopK-greedy with a larger top may take less: most of its time goes into sorting the greedy rest, then a smaller one."""

_FIGURE = "CPU time a pair against tokens, on one thread. Lines may cover one another: the table has every number."


def tell(output: Output, found: Sequence[Quality], costs: Sequence[Cost]) -> list[str]:
    """Write everything into the output; returns the verdict, or a remark that nothing was timed."""
    statements = verdict(found, costs) if costs else ["Nothing was timed, so that nothing is said of what pays."]
    statements += of_the_rsm(found)
    for statement in statements:
        output.text(statement)
    if costs:
        output.figure("times", time_figure(costs), caption=_FIGURE)
        _times(output, costs)
    output.figure(
        "gaps",
        gap_figure(found),
        caption="What approximations miss of the optimum, and what prices prove of it without solving exactly.",
    )
    _quality(output, found)
    return statements


def _quality(output: Output, found: Sequence[Quality]) -> None:
    rows = [
        [
            one.tokens,
            one.matcher,
            one.pairs,
            *(None if share is None else 100.0 * share for share in (one.loss, one.worst, one.certified)),
            one.pearson,
            one.spearman,
        ]
        for one in found
    ]
    header = ["tokens", "matcher", "pairs", "loss %", "worst %", "certified %", "Pearson", "Spearman"]
    output.table("quality", header=header, rows=rows, caption=_QUALITY)
    output.result("quality", [asdict(one) for one in found])


def _times(output: Output, costs: Sequence[Cost]) -> None:
    rows = []
    for one in costs:
        exact = exact_total([other for other in costs if other.tokens == one.tokens])
        affinity = None if one.affinity is None else one.affinity * 1e3
        rows.append([one.tokens, one.matcher, affinity, one.matching * 1e3, one.total * 1e3, one.total / exact])
    header = ["tokens", "matcher", "affinity ms", "matching ms", "total ms", "times the faster exact"]
    output.table("times", header=header, rows=rows, caption=_TIMES)
    output.result("times", [asdict(one) for one in costs])
