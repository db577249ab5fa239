"""What a recall study leaves behind: sentences, figure, tables, results."""

from __future__ import annotations

from typing import Any

from setwise_evaluation.experiments.recall._figure import figure_of
from setwise_evaluation.experiments.recall._types import Curve, DefaultAnswers, RecallStudy
from setwise_evaluation.report import Output

__all__ = ["default_text", "shown_count", "tell"]

_DEFINITION = """
A search recalls K images by their coarse vectors and ranks these exactly. The recall at K is the share of a query's
exact top {k}, found by scoring or ruling out every image, that is among those K; any image that scores as the {k}-th
counts. Means over {queries} queries with 95 % bootstrap intervals over queries. The nominal time of a query is
reckoned from what it computes, the same on every machine; measured times are in timings.json.
"""


def tell(output: Output, study: RecallStudy) -> None:
    """Put all of it into `output`."""
    output.text(
        f"{study.images:,} images of {study.collection}, version {study.version}, kernel {study.kernel}, coarse vector "
        f"{study.coarse}. {_DEFINITION.format(k=study.k, queries=len(study.queries))}"
    )
    for paragraph in (*study.advice.text, default_text(study.default, study.k), *study.notes):
        output.text(paragraph)
    caption = (
        f"Share of the exact top {study.k} recalled, with 95 % intervals over {len(study.queries)} queries. (a) By "
        "number of candidates, in the exact order of each coarse vector. (b) By nominal time: the best that each "
        "coarse vector gives over its indexes and numbers of candidates."
    )
    output.figure("recall", figure_of(study), caption=caption)
    _tables(output, study)
    _results(output, study)
    _timings(output, study)


def default_text(default: DefaultAnswers, k: int) -> str:
    """What the certificates of default answers cover, and how often the answers are the exact ones all the same."""
    return (
        f"A search for {k} hits recalls {default.candidates} images unless told otherwise. Its certificate covers the "
        f"whole collection for {default.certified:.1%} of the queries, and {default.covered:.1%} of the images in the "
        f"mean; what it does not cover has no bound. Among what it covers, everything unsolved is bounded below the "
        f"last hit for {default.sound:.0%} of the queries. In fact the answer is the exact one for "
        f"{default.exact:.3f} of the queries, and holds {default.recall:.3f} of the exact top {k}."
    )


def shown_count(study: RecallStudy) -> int:
    """Place among the counts of the default number of candidates, or the nearest to it."""
    wanted = study.default.candidates
    return min(range(len(study.counts)), key=lambda place: abs(study.counts[place] - wanted))


def _tables(output: Output, study: RecallStudy) -> None:
    output.table(
        "recall",
        header=["coarse vector", "index", "bytes an image", *map(str, study.counts)],
        rows=[[*_name(curve), *(one.value for one in curve.recall)] for curve in study.curves],
        caption=f"Mean share of the exact top {study.k} among the first K candidates.",
    )
    place = shown_count(study)
    count = study.counts[place]
    named = ["coarse vector", "index", "bytes an image"]
    output.table(
        "settings",
        header=[*named, "recall", "worst query", "all found", "reranked", "nominal ms"],
        rows=[[*_name(curve), *_at(study, curve, place)] for curve in study.curves],
        caption=f"With {count} candidates: recall of the exact top {study.k}, that of the worst query, the share of "
        "queries that find all of it, the share of the collection that is ranked exactly, the nominal time of a query.",
    )


def _name(curve: Curve) -> list[Any]:
    return [curve.setting.coarse, curve.setting.name, round(curve.setting.bytes_per_image)]


def _at(study: RecallStudy, curve: Curve, place: int) -> list[Any]:
    reranked = study.counts[place] / study.images
    return [curve.recall[place], curve.worst[place], curve.complete[place], reranked, curve.nominal_ms[place]]


def _results(output: Output, study: RecallStudy) -> None:
    for name in ("collection", "version", "images", "coarse", "kernel", "k", "counts", "queries", "tied", "notes"):
        output.result(name, getattr(study, name))
    default = study.default
    names = ("candidates", "certified", "covered", "sound", "exact", "recall", "solved")
    output.result("default", {name: getattr(default, name) for name in names})
    output.result("curves", [_curve(curve) for curve in study.curves])
    output.result("advice", list(study.advice.text))


def _curve(curve: Curve) -> dict[str, Any]:
    setting = curve.setting
    names = ("coarse", "index", "present", "dims", "bytes_per_image", "lists", "probes")
    rest = {name: getattr(curve, name) for name in ("recall", "worst", "complete", "nominal_ms")}
    return {name: getattr(setting, name) for name in names} | rest


def _timings(output: Output, study: RecallStudy) -> None:
    output.timing("the whole study", study.seconds)
    output.timing("one exhaustive search", study.exact_ms / 1e3)
    output.timing(f"exact stage of {study.default.candidates} candidates", study.default.rerank_ms / 1e3)
    for kind, time in study.pool_ms.items():
        output.timing(f"one query's own vector, {kind}", time / 1e3)
    for curve in study.curves:
        output.timing(f"coarse stage, {curve.setting.coarse}, {curve.setting.name}", curve.coarse_ms / 1e3)
