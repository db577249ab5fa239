"""What the numbers say, in sentences computed from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from setwise_evaluation.experiments.retrieval._tables import name_of
from setwise_evaluation.experiments.retrieval._types import APART, Reading, Retrieval
from setwise_evaluation.retrieval import Estimate

__all__ = ["sentences"]


def sentences(study: Retrieval) -> Iterator[str]:
    """A paragraph for each of three measures: is semantic above the others, and what is as good or better?"""
    k = study.ks[min(1, len(study.ks) - 1)]
    for measure in (f"F1@{k}", "AP", APART):
        found = {reading: values[measure] for reading, values in study.ahead.items() if measure in values}
        if found:
            yield f"{measure}: {' '.join([*_against(found, 'spatio-semantic'), *_others(found)])}"


def _against(found: Mapping[Reading, Estimate], other: str) -> Iterator[str]:
    """Semantic and one other similarity, kernel by kernel."""
    known = {reading.kernel: estimate for reading, estimate in found.items() if reading.similarity == other}
    if not known:
        return
    above = [kernel for kernel, estimate in known.items() if estimate.low > 0]
    where = "every kernel" if len(above) == len(known) else " and ".join(map(_kernel, above)) or "no kernel"
    numbers = "; ".join(f"{_kernel(kernel)} {estimate:+.3f}" for kernel, estimate in known.items())
    yield f"semantic is above {other}, its interval above 0, in {where} (semantic minus it: {numbers})."


def _others(found: Mapping[Reading, Estimate]) -> Iterator[str]:
    """What is not below semantic in the same kernel: better, or not to be told apart from it."""
    others = {reading: estimate for reading, estimate in found.items() if reading.similarity != "spatio-semantic"}
    better = [f"{_name(reading)} ({estimate:+.3f})" for reading, estimate in others.items() if estimate.high < 0]
    equal = [_name(reading) for reading, estimate in others.items() if estimate.low <= 0 <= estimate.high]
    if better:
        yield f"Better than semantic in the same kernel (semantic minus it): {'; '.join(better)}."
    if equal:
        yield f"Not to be told apart from semantic in the same kernel: {'; '.join(equal)}."
    below = len(others) - len(better) - len(equal)
    if others:
        yield f"Below semantic: {below} of {len(others)} other readings of pooled vectors, MaxSim and Chamfer."


def _name(reading: Reading) -> str:
    return " in ".join(name_of(reading))


def _kernel(kernel: str) -> str:
    return name_of(Reading("", kernel))[1]
