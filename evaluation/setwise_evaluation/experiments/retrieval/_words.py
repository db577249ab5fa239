"""What the numbers say, in sentences computed from them."""

from __future__ import annotations

from collections.abc import Iterator

from setwise_evaluation.experiments.retrieval._tables import name_of
from setwise_evaluation.experiments.retrieval._types import APART, KERNELS, Reading, Retrieval

__all__ = ["sentences"]


def sentences(study: Retrieval) -> Iterator[str]:
    """Whether semantic similarity is above the others, by how much, and what is as good or better."""
    k = study.ks[min(1, len(study.ks) - 1)]
    measures = [f"F1@{k}", "AP"] + ([APART] if APART in study.measures else [])
    for measure in measures:
        yield from _against(study, measure, "spatio-semantic")
        yield from _others(study, measure)


def _against(study: Retrieval, measure: str, other: str) -> Iterator[str]:
    """Semantic and one other similarity, kernel by kernel."""
    found = {kernel: study.ahead.get(Reading(other, kernel), {}).get(measure) for kernel in KERNELS}
    known = {kernel: estimate for kernel, estimate in found.items() if estimate is not None}
    if not known:
        return
    above = [kernel for kernel, estimate in known.items() if estimate.low > 0]
    where = "every kernel" if len(above) == len(known) else " and ".join(map(_kernel, above)) or "no kernel"
    numbers = "; ".join(f"{_kernel(kernel)} {estimate:+.3f}" for kernel, estimate in known.items())
    yield f"{measure}: semantic is above {other}, with an interval above 0, in {where} (semantic minus it: {numbers})."


def _others(study: Retrieval, measure: str) -> Iterator[str]:
    """What is not below semantic in the same kernel: better, or not to be told apart from it."""
    readings = {
        reading: found[measure]
        for reading, found in study.ahead.items()
        if measure in found and reading.similarity != "spatio-semantic"
    }
    better = [reading for reading, estimate in readings.items() if estimate.high < 0]
    equal = [reading for reading, estimate in readings.items() if estimate.low <= 0 <= estimate.high]
    if not better and not equal:
        yield f"{measure}: pooled, MaxSim and Chamfer are below semantic in every kernel, with intervals above 0."
    for words, found in (("better than", better), ("not to be told apart from", equal)):
        if found:
            listed = "; ".join(f"{_name(reading)} ({readings[reading]:+.3f})" for reading in found)
            yield f"{measure}: {words} semantic in the same kernel, as semantic minus it: {listed}."


def _name(reading: Reading) -> str:
    return ", ".join(name_of(reading))


def _kernel(kernel: str) -> str:
    return name_of(Reading("", kernel))[1]
