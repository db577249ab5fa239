"""Spans of OpenTelemetry: one a call, its context sent along; and nothing of it where the program does not use it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from opentelemetry import baggage, context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

import setwise
from setwise._retry import Retries
from setwise._tracing import client_span, trace_headers
from setwise_proto.v1 import collections_pb2, server_pb2


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """The finished spans of a program that uses OpenTelemetry."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("setwise._tracing._tracer", lambda: provider.get_tracer("setwise"))
    yield exporter
    provider.shutdown()


def facts(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_call_is_a_span(local: setwise.Client, spans: InMemorySpanExporter) -> None:
    with setwise.request_id("traced"):
        local.count()
    *_, span = spans.get_finished_spans()
    assert (span.name, span.kind) == ("setwise.v1.ImageService/CountImages", SpanKind.CLIENT)
    assert facts(span).items() >= {
        ("rpc.system", "grpc"),
        ("rpc.service", "setwise.v1.ImageService"),
        ("rpc.method", "CountImages"),
        ("setwise.request_id", "traced"),
    }
    assert span.status.status_code is StatusCode.UNSET


def test_a_failed_call_says_why(remote: setwise.Client, spans: InMemorySpanExporter) -> None:
    with pytest.raises(setwise.NotFoundError):
        remote.get("no such image")
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR and "no such image" in (span.status.description or "")
    assert facts(span).items() >= {("rpc.grpc.status_code", 5), ("error.type", "NOT_FOUND")}


def test_every_further_attempt_is_an_event(
    script: Any, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Retries.__init__, "__defaults__", (4, 0.001, 0.001))
    gone = setwise.UnavailableError("nobody there")
    with setwise.connect("localhost:1", transport=script(gone, gone, server_pb2.GetServerInfoResponse())) as client:
        client.info()
    (span,) = spans.get_finished_spans()
    assert [event.name for event in span.events] == ["setwise.retry"] * 2
    assert dict(span.events[0].attributes or {})["error.type"] == "UNAVAILABLE"
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("way", ["blocking", "asyncio", "stream", "asyncio stream"])
def test_the_server_gets_the_context(way: str, spans: InMemorySpanExporter, tmp_path: Any) -> None:
    """The header is checked by what a server sees; the span's ids make it up, as W3C Trace Context says."""
    seen: list[dict[str, Any]] = []
    server, port = listening(seen)
    target, out = f"localhost:{port}", tmp_path / "a.tar"

    async def call() -> None:
        async with setwise.connect_async(target) as client:
            await (client.info() if way == "asyncio" else client.download_snapshot(out))

    try:
        if way.startswith("asyncio"):
            asyncio.run(call())
        else:
            with setwise.connect(target) as client:
                client.info() if way == "blocking" else client.download_snapshot(out)
    finally:
        server.stop(None)
    (span,) = spans.get_finished_spans()
    ids = span.get_span_context()
    assert ids is not None
    trace, place = format_trace_id(ids.trace_id), format_span_id(ids.span_id)
    assert seen[0]["traceparent"] == f"00-{trace}-{place}-{ids.trace_flags:02x}"
    assert seen[0]["x-request-id"] == facts(span)["setwise.request_id"]


def listening(seen: list[dict[str, Any]]) -> tuple[grpc.Server, int]:
    """A server that remembers what calls carry."""
    from concurrent.futures import ThreadPoolExecutor

    def info(_: Any, call: grpc.ServicerContext) -> server_pb2.GetServerInfoResponse:
        seen.append(dict(call.invocation_metadata()))
        return server_pb2.GetServerInfoResponse()

    def snapshot(_: Any, call: grpc.ServicerContext) -> Iterator[collections_pb2.DownloadSnapshotResponse]:
        seen.append(dict(call.invocation_metadata()))
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        yield collections_pb2.DownloadSnapshotResponse(end=collections_pb2.SnapshotEnd(sha256=empty))

    request, reply = server_pb2.GetServerInfoRequest, server_pb2.GetServerInfoResponse
    asked, piece = collections_pb2.DownloadSnapshotRequest, collections_pb2.DownloadSnapshotResponse
    unary = grpc.unary_unary_rpc_method_handler(info, request.FromString, reply.SerializeToString)
    stream = grpc.unary_stream_rpc_method_handler(snapshot, asked.FromString, piece.SerializeToString)
    server = grpc.server(ThreadPoolExecutor(2))
    services = {"ServerService": {"GetServerInfo": unary}, "CollectionService": {"DownloadSnapshot": stream}}
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(f"setwise.v1.{name}", methods) for name, methods in services.items()]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def test_no_more_is_sent_along_than_servers_take(spans: InMemorySpanExporter) -> None:
    for size, names in ((100, {"traceparent", "baggage"}), (5000, {"traceparent"})):
        token = context.attach(baggage.set_baggage("note", "x" * size))
        with client_span("/s/m", "localhost:1"):
            assert {name for name, _ in trace_headers()} == names
        context.detach(token)


def test_nothing_of_it_is_loaded_or_needed() -> None:
    """Where OpenTelemetry is not installed nothing is missed, and where it is not used it is not even looked for."""
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import setwise
with setwise.connect("localhost:1", retries=0, timeout=5) as client:
    try:
        client.info()
    except setwise.UnavailableError:
        sys.exit("opentelemetry" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
