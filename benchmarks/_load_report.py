"""Tables of what became of the calls of a load test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import numpy as np
from _load_client import NOT_SENT
from _load_mix import OPERATIONS
from _load_server import Sample
from numpy.typing import NDArray

__all__ = ["Calls", "codes", "latencies", "operations", "windows"]

Calls = NDArray[np.void]
"""One CALL each."""

_NAMES = {code.value[0]: code.name for code in grpc.StatusCode} | {NOT_SENT: "not sent"}
_MIB = 2**20


def latencies(calls: Calls) -> str:
    """`p50 / p95 / p99` in ms."""
    if not len(calls):
        return "-"
    return " / ".join(
        f"{ms:.1f}" if ms < 100 else f"{ms:.0f}" for ms in np.percentile(calls["seconds"], (50, 95, 99)) * 1e3
    )


def codes(calls: Calls) -> str:
    """How many calls failed, by code."""
    counts = Counter(_NAMES[int(code)] for code in calls["code"] if code)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"


def operations(calls: Calls, seconds: float) -> Iterator[list[str]]:
    """A row for each operation: calls a second, p50 / p95 / p99 of those that went well, errors by code."""
    for number, name in enumerate(OPERATIONS):
        some = calls[calls["operation"] == number]
        if len(some):
            well = some[some["code"] == 0]
            yield [name, str(len(some)), f"{len(well) / seconds:.1f}", latencies(well), codes(some)]


def windows(calls: Calls, began: float, seconds: float, samples: Sequence[Sample], count: int) -> Iterator[list[str]]:
    """A row for each of `count` equal parts of the time: calls, latencies, errors, memory and threads at its end."""
    for first, last in zip(*_edges(seconds, count), strict=True):
        some = calls[(calls["at"] >= first) & (calls["at"] < last)]
        well = some[some["code"] == 0]
        sample: Any = min(samples, key=lambda each: abs(each.at - began - last))
        yield [
            f"{first / 60:.1f} to {last / 60:.1f}",
            f"{len(well) / (last - first):.1f}",
            latencies(well),
            codes(some),
            f"{sample.anonymous / _MIB:.0f}",
            f"{sample.resident / _MIB:.0f}",
            str(sample.threads),
        ]


def _edges(seconds: float, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    edges = np.linspace(0, seconds, count + 1)
    return edges[:-1], edges[1:]
