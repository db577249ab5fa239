"""Spans, as a collector receives them: a real one, that speaks OTLP over gRPC on loopback."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from setwise_engine.errors import Unavailable
from setwise_server import observe
from setwise_server._visit import Visit
from setwise_server.observe import Observer, Outcome, _tracing
from setwise_server.security import Access, Caller
from setwise_server.settings import Observe

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans that it is sent, by name, and what they say of their service."""

    def __init__(self) -> None:
        self.spans: dict[str, Span] = {}
        self.resource: dict[str, str] = {}

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
        for resource_spans in request.resource_spans:
            self.resource = {each.key: each.value.string_value for each in resource_spans.resource.attributes}
            for scope in resource_spans.scope_spans:
                self.spans |= {span.name: span for span in scope.spans}
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    """A collector, and its address."""
    server, kept = grpc.server(ThreadPoolExecutor(1)), Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(kept, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield kept, f"127.0.0.1:{port}"
    server.stop(None).wait()


def observed(
    address: str, metadata: dict[str, str | bytes], code: grpc.StatusCode = grpc.StatusCode.OK, reason: str = ""
) -> Visit:
    """A search that was traced, and all of whose spans were sent."""
    observer = Observer(Observe(traces=address))
    visit = Visit("/setwise.v1.SearchService/Search", "asked-1", "ipv4:127.0.0.1:1", Caller("shop", Access.READ))
    with observer.during(visit, metadata):
        visit.record.searches, visit.record.solved = 1, 3
        for stage, seconds in (("rerank", 0.020), ("queue", 0.001), ("decode", 0.0), ("recall", 0.002)):
            visit.record.add(stage, seconds)
        observer.ended(visit, Outcome(visit.elapsed(), code, reason, "why" if reason else ""))
    asyncio.run(observer.stop())
    return visit


def attributes(span: Span) -> dict[str, str | int]:
    """The attributes of a span."""
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_a_call_is_a_span_of_its_callers_trace(collector: tuple[Collector, str]) -> None:
    kept, address = collector

    visit = observed(address, {"traceparent": f"00-{TRACE}-{PARENT}-01"})

    span = kept.spans["setwise.v1.SearchService/Search"]
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert visit.trace_id == TRACE
    assert span.kind == Span.SpanKind.SPAN_KIND_SERVER
    told = attributes(span)
    assert told["rpc.method"] == "Search"
    assert told["setwise.request_id"] == "asked-1"
    assert (told["client.address"], told["client.port"]) == ("127.0.0.1", 1)
    assert told["setwise.caller"] == "shop"
    assert told["setwise.solved"] == 3
    assert kept.resource["service.name"] == "setwise"


def test_each_stage_is_a_child_as_long_as_it_was_and_in_the_order_in_which_it_ran(
    collector: tuple[Collector, str],
) -> None:
    kept, address = collector

    observed(address, {})

    call = kept.spans.pop("setwise.v1.SearchService/Search")
    stages = sorted(kept.spans.values(), key=lambda span: span.start_time_unix_nano)
    took = [(span.name, (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9) for span in stages]
    assert [name for name, _ in took] == ["setwise.queue", "setwise.recall", "setwise.rerank"]
    assert [seconds for _, seconds in took] == pytest.approx([0.001, 0.002, 0.020], rel=1e-3)
    assert {span.parent_span_id for span in stages} == {call.span_id}
    assert stages[0].start_time_unix_nano == call.start_time_unix_nano
    assert not call.parent_span_id


def test_a_caller_may_ask_not_to_be_traced(collector: tuple[Collector, str]) -> None:
    kept, address = collector

    visit = observed(address, {"traceparent": f"00-{TRACE}-{PARENT}-00"})

    assert not kept.spans
    assert visit.trace_id == TRACE


def test_what_a_caller_sends_beside_its_parent_does_no_harm(collector: tuple[Collector, str]) -> None:
    kept, address = collector

    observed(address, {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "=,=\x00" * 5000, "x-bin": b"\xff"})

    assert kept.spans["setwise.v1.SearchService/Search"].parent_span_id.hex() == PARENT


@pytest.mark.parametrize("parent", ["", "nonsense", f"00-{'0' * 32}-{PARENT}-01", "x" * 10_000])
def test_a_parent_that_is_none_begins_a_new_trace(collector: tuple[Collector, str], parent: str) -> None:
    kept, address = collector

    observed(address, {"traceparent": parent})

    assert not kept.spans["setwise.v1.SearchService/Search"].parent_span_id


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (grpc.StatusCode.NOT_FOUND, Status.STATUS_CODE_UNSET),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Status.STATUS_CODE_ERROR),
    ],
)
def test_only_what_is_the_servers_fault_is_an_error(
    collector: tuple[Collector, str], code: grpc.StatusCode, status: int
) -> None:
    kept, address = collector

    observed(address, {}, code, "REASON")

    span = kept.spans["setwise.v1.SearchService/Search"]
    assert span.status.code == status
    assert attributes(span)["error.type"] == "REASON"


def test_a_collector_that_is_away_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tracing, "EXPORT_S", 0.2)
    begun = time.monotonic()
    observed("127.0.0.1:1", {})

    assert time.monotonic() - begun < 20
    assert not [thread for thread in threading.enumerate() if "Otel" in thread.name]


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "setwise_server.observe._tracing", raising=False)
    monkeypatch.delattr(observe, "_tracing", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)

    with pytest.raises(Unavailable, match=r'pip install "setwise\[tracing\]"'):
        Observer(Observe(traces="127.0.0.1:4317"))


def test_nothing_of_opentelemetry_is_imported_where_nothing_is_traced() -> None:
    code = """
import sys
from setwise_server.serve import Server
from setwise_server.observe import Observer
Observer()
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
