"""How much memory the process takes for itself, without the files that it has mapped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["MemoryMetrics"]

STATUS = Path("/proc/self/status")


class MemoryMetrics(Collector):
    """What Linux calls RssAnon. The resident memory that process_resident_memory_bytes tells holds the mapped segments
    too, which the system takes back when it needs them. Nothing where the system does not tell."""

    def collect(self) -> Iterator[Metric]:
        """The metric as it is now."""
        lines = STATUS.read_text().splitlines() if STATUS.exists() else []
        for line in lines:
            name, _, value = line.partition(":")
            if name == "RssAnon":
                kilobytes = int(value.split()[0])
                yield GaugeMetricFamily(
                    "setwise_anonymous_memory_bytes", "Memory that is no mapped file.", kilobytes * 1024
                )
