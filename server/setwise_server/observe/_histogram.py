"""A tally as Prometheus takes it."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from prometheus_client.core import HistogramMetricFamily

from setwise_server._meters import Tally

__all__ = ["histogram_of"]


def histogram_of(name: str, text: str, tally: Tally) -> HistogramMetricFamily:
    """The histogram that the tally is."""
    counts, total = tally.read()
    names = [*(str(float(bound)) for bound in tally.bounds), "+Inf"]
    buckets: list[Any] = list(zip(names, accumulate(counts), strict=True))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=total)
