"""Timing of alternatives side by side: in turns within one process, so that a drifting machine slows all of them."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter, process_time
from typing import Any

import numpy as np
from _shared import say
from threadpoolctl import threadpool_limits

__all__ = ["Times", "blas_threads", "clock", "figures", "in_turns", "optional", "ratio", "smallest"]

Times = dict[str, list[float]]
"""Seconds of every run, by the name of the alternative."""


def clock(threads: int) -> Callable[[], float]:
    """CPU time of all of the process's threads for one thread, where other programs do not count; else wall time."""
    return process_time if threads == 1 else perf_counter


def in_turns(
    alternatives: Mapping[str, Callable[[], object]], rounds: int, now: Callable[[], float], *, warm: bool = True
) -> Times:
    """Run each alternative once a round, beginning with another one each time; the first, warming round is not kept."""
    names = list(alternatives)
    if warm:
        for run in alternatives.values():
            run()
    times: Times = {name: [] for name in names}
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                start = now()
                alternatives[name]()
                times[name].append(now() - start)
    finally:
        gc.enable()
    return times


@contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """What numpy's GEMM may use."""
    with threadpool_limits(count):
        yield


def optional(module: str, package: str) -> Any:
    """A library to compare with, or None, with a word on how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        say(f"left out: {package} ({error}); pip install {package}, see benchmarks/README.md")
        return None


def ratio(slower: Sequence[float], ours: Sequence[float]) -> float:
    """Ratio of the medians."""
    return float(np.median(slower) / np.median(ours))


def smallest(ratios: Sequence[tuple[float, str]]) -> str:
    """The smallest of named ratios, in words."""
    value, name = min(ratios)
    return f"smallest ratio: {figures(value)}x ({name})"


def figures(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
