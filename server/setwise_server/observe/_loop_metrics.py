"""Whether the event loop keeps up: what runs there too long holds up every call, and health checks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from setwise_server._meters import Tally
from setwise_server.observe._histogram import histogram_of

__all__ = ["LoopMetrics"]

EVERY_S = 0.25
DELAYS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)


class LoopMetrics(Collector):
    """How late the loop comes to what was due, looked at every EVERY_S. `start` and `stop` are for its thread."""

    def __init__(self) -> None:
        self._tally = Tally(DELAYS_S)
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from now on."""
        loop = asyncio.get_running_loop()
        due = loop.time() + EVERY_S
        self._next = loop.call_at(due, self._look, loop, due)

    def stop(self) -> None:
        """Look no more."""
        if self._next is not None:
            self._next.cancel()

    def collect(self) -> Iterator[Metric]:
        """The delays so far."""
        yield histogram_of(
            "setwise_event_loop_delay_seconds", "How late the event loop came to what was due.", self._tally
        )

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._tally.add(max(0.0, loop.time() - due))
        self.start()
