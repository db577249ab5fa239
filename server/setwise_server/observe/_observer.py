"""Tells logs, metrics and traces of every call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from setwise_engine.errors import Unavailable
from setwise_server._holdings import Holdings
from setwise_server._pools import Pools
from setwise_server._visit import Visit
from setwise_server.observe._call_log import CallLog
from setwise_server.observe._exporter import Exporter
from setwise_server.observe._outcome import Outcome
from setwise_server.settings import Observe

if TYPE_CHECKING:
    from setwise_server.observe._tracing import Tracing

__all__ = ["Observer"]

log = logging.getLogger("setwise.server")


class Observer:
    """observe: what is told. streams: paths of the rpcs that stream. For the event loop's thread.

    Raises Unavailable when traces are asked for and what sends them is not installed.
    """

    def __init__(self, observe: Observe | None = None, streams: frozenset[str] = frozenset()) -> None:
        observe = observe or Observe()
        self._log = CallLog(observe.slow_ms, streams)
        self._metrics: Exporter | None = None
        if observe.metrics_port is not None:
            self._metrics = Exporter(observe.metrics_host, observe.metrics_port)
        self._traces = None if observe.traces is None else _tracing(observe.traces)
        self._ending = ExitStack()
        if self._traces is not None:
            self._ending.callback(self._traces.stop)

    def start(self, pools: Pools) -> None:
        """Begin to tell, of what happens in the pools too. Raises PortError."""
        if self._metrics is not None:
            self._metrics.state.pools = pools
            self._metrics.loop.start()
            log.info("metrics on %s", self._metrics.start())
            self._ending.callback(self._metrics.stop)

    def loaded(self, holdings: Holdings) -> None:
        """Tell what is in the collections from now on."""
        if self._metrics is not None:
            self._metrics.state.holdings = holdings

    async def stop(self) -> None:
        """Tell what is left to be told, and nothing after that. May take seconds; harmless when repeated."""
        if self._metrics is not None:
            self._metrics.loop.stop()
        await asyncio.to_thread(self._ending.close)

    @contextmanager
    def during(self, visit: Visit, metadata: Mapping[str, str | bytes]) -> Iterator[None]:
        """Around a whole call. metadata: of the call, keys in lower case."""
        with ExitStack() as stack:
            if self._metrics is not None:
                stack.enter_context(self._metrics.calls.during(visit))
            if self._traces is not None:
                stack.enter_context(self._traces.during(visit, metadata))
            yield

    def ended(self, visit: Visit, outcome: Outcome) -> None:
        """The call came to this. Called inside `during`."""
        self._log.ended(visit, outcome)
        if self._metrics is not None:
            self._metrics.calls.ended(visit, outcome)
        if self._traces is not None:
            self._traces.ended(visit, outcome)


def _tracing(collector: str) -> Tracing:
    """Spans for the collector at this address; OpenTelemetry is imported only now."""
    try:
        from setwise_server.observe import _tracing
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise Unavailable(
            f'--traces needs OpenTelemetry, and {error.name} is not installed; pip install "setwise[tracing]"',
            field="--traces",
        ) from error
    return _tracing.Tracing(_tracing.collector(collector))
