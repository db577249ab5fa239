"""Where Prometheus finds the metrics: http://metrics_host:metrics_port/metrics."""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Info,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)

from setwise_server._errors import PortError
from setwise_server.observe._call_metrics import CallMetrics
from setwise_server.observe._loop_metrics import LoopMetrics
from setwise_server.observe._memory import MemoryMetrics
from setwise_server.observe._state_metrics import StateMetrics
from setwise_server.settings import address

__all__ = ["Exporter"]


class Exporter:
    """The metrics of one server, in a registry of their own. calls: to be told of calls. state: to be told what to look
    at. loop: to be started. Nothing listens before `start`."""

    def __init__(self, host: str, port: int) -> None:
        """port: 0 for any free one."""
        self._host, self._port = host, port
        disable_created_metrics()  # type: ignore[no-untyped-call]  # when each series began: it would double them
        self.registry = CollectorRegistry()
        self.calls = CallMetrics(self.registry)
        self.state = StateMetrics()
        self.loop = LoopMetrics()
        for collector in (self.state, self.loop, MemoryMetrics()):
            self.registry.register(collector)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        Info("setwise_build", "What this server is.", registry=self.registry).info({"version": version("setwise")})

    def start(self) -> str:
        """Listen, in a thread; the URL. Raises PortError."""
        try:
            self._server, self._thread = start_http_server(self._port, self._host, self.registry)
        except OSError as error:
            raise PortError(
                f"cannot listen for metrics on {address(self._host, self._port)}: {error.strerror}; choose another "
                "--metrics-host or --metrics-port; port 0 is any free one",
                field="--metrics-port",
            ) from error
        return f"http://{address(self._host, self._server.server_port)}/metrics"

    def stop(self) -> None:
        """Listen no more. Only after `start`."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
