"""OpenTelemetry spans of every call and of its stages, sent to an OTLP collector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from time import time_ns

import grpc
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, StatusCode, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from setwise_server._record import STAGES
from setwise_server._visit import Visit
from setwise_server.observe._outcome import Outcome

__all__ = ["Tracing", "collector"]

EXPORT_S = 5.0  # for one batch; a collector that is away must not hold up the server's end
SECURE = "https://"

_FAULTS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""What makes a server's span an error, by OpenTelemetry's conventions for gRPC; the rest are callers' mistakes."""


def collector(address: str) -> SpanExporter:
    """What sends spans to the OTLP collector at HOST:PORT, in clear text, or at https://HOST:PORT. The usual variables
    OTEL_EXPORTER_OTLP_HEADERS and _CERTIFICATE are heeded."""
    return OTLPSpanExporter(endpoint=address, insecure=not address.startswith(SECURE), timeout=EXPORT_S)


def _client(peer: str) -> dict[str, str | int]:
    """The attributes of OpenTelemetry's conventions for whoever calls."""
    kind, _, where = peer.partition(":")
    host, _, port = where.rpartition(":")
    if kind not in ("ipv4", "ipv6") or not port.isdecimal():
        return {"client.address": where or peer}
    return {"client.address": host.strip("[]"), "client.port": int(port)}


class Tracing:
    """A span for each call, child of the caller's where it sent a `traceparent`, with a child for each stage.

    Which calls are traced is for the caller's sampling flag, and OTEL_TRACES_SAMPLER where there is none; the service's
    name for OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES. For the event loop's thread.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        """exporter: where spans go; it works in a thread of its own."""
        named = Resource.create({"service.name": "setwise", "service.version": version("setwise")})
        self._provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("setwise_server")
        self._propagator = TraceContextTextMapPropagator()
        self._spans: dict[Visit, tuple[Span, int]] = {}

    def stop(self) -> None:
        """Send what waits; takes EXPORT_S at the most."""
        self._provider.shutdown()

    @contextmanager
    def during(self, visit: Visit, metadata: Mapping[str, str | bytes]) -> Iterator[None]:
        """Around a whole call."""
        service, _, method = visit.method[1:].rpartition("/")
        attributes: dict[str, str | int] = {
            "rpc.system": "grpc",
            "rpc.service": service,
            "rpc.method": method,
            **_client(visit.peer),
            "setwise.request_id": visit.request_id,
        }
        parent = self._propagator.extract(metadata)
        begun = time_ns() - int(visit.elapsed() * 1e9)
        span = self._tracer.start_span(f"{service}/{method}", parent, SpanKind.SERVER, attributes, start_time=begun)
        visit.trace_id = format_trace_id(span.get_span_context().trace_id)
        self._spans[visit] = span, begun
        try:
            yield
        finally:
            del self._spans[visit]
            span.end()

    def ended(self, visit: Visit, outcome: Outcome) -> None:
        """The call came to this."""
        span, begun = self._spans[visit]
        if not span.is_recording():
            return
        span.set_attribute("rpc.grpc.status_code", outcome.code.value[0])
        span.set_attribute("setwise.caller", visit.caller.name)
        if outcome.reason:
            span.set_attribute("error.type", outcome.reason)
        if outcome.code in _FAULTS:
            span.set_status(StatusCode.ERROR, outcome.message)
        if visit.record.searches:
            span.set_attributes({f"setwise.{name}": count for name, count in visit.record.counts().items()})
        self._lay_out(visit, begun, set_span_in_context(span))

    def _lay_out(self, visit: Visit, begun: int, parent: Context) -> None:
        """A span for each stage, one after the other. How long each took was measured, over all queries of the call;
        when it began follows from the order in which they run."""
        stages = dict(visit.record.stages)
        for stage in (*STAGES, *(stages.keys() - set(STAGES))):
            if stage in stages:
                ended = begun + int(stages[stage] * 1e9)
                self._tracer.start_span(f"setwise.{stage}", parent, start_time=begun).end(ended)
                begun = ended
