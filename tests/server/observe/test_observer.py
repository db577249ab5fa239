"""What a real server tells of real calls: in its log, to Prometheus and to a collector of traces."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, cast
from urllib.request import urlopen

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from setwise_proto.v1 import collections_pb2, search_pb2, server_pb2
from setwise_proto.v1 import types_pb2 as types
from setwise_server import ServerSettings
from setwise_server._record import BOUNDS
from setwise_server.settings import Observe

Metric = Callable[..., float | None]


@pytest.fixture(scope="module")
def told(sets_path, serving) -> Iterator[tuple[Any, Metric]]:
    """A server that tells everything, and the metrics that it tells now."""
    observe = Observe(metrics_port=0, slow_ms=0, log_level="debug")
    lines = _Lines()
    log = logging.getLogger("setwise.server")
    log.addHandler(lines)
    before, log.level = log.level, logging.INFO
    with serving([sets_path], ServerSettings(port=0, device="cpu", observe=observe)) as stubs:
        log.removeHandler(lines)
        log.setLevel(before)
        (url,) = (line.rpartition(" ")[2] for line in lines.kept if line.startswith("metrics on "))

        def metric(name: str, **labels: str) -> float | None:
            with urlopen(url, timeout=10) as answer:
                families = text_string_to_metric_families(answer.read().decode())
                samples = [each for family in families for each in family.samples]
            found = [each.value for each in samples if (each.name, each.labels) == (name, labels)]
            return found[0] if found else None

        yield stubs, metric
    with pytest.raises(OSError, match="refused"):
        urlopen(url, timeout=10)


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record.getMessage())


def search(stubs: Any, request_id: str = "asked-1", **query: Any) -> grpc.Call:
    """A search by an image of the collection, or as told; the call, ended."""
    request = search_pb2.SearchRequest(query=types.Query(**query or {"id": "set-01"}))
    _, call = stubs.search.Search.with_call(request, metadata=(("x-request-id", request_id),))
    return cast(grpc.Call, call)


def lines(caplog: pytest.LogCaptureFixture, logger: str) -> list[dict[str, Any]]:
    """The named values of the lines of a logger."""
    return [record.fields for record in caplog.records if record.name == logger and hasattr(record, "fields")]


def test_prometheus_sees_calls_stages_and_what_became_of_the_candidates(told: tuple[Any, Metric]) -> None:
    stubs, metric = told
    before = metric("setwise_requests_total", method="Search", code="OK") or 0
    recalled = metric("setwise_images_recalled_total") or 0

    search(stubs)

    assert metric("setwise_requests_total", method="Search", code="OK") == before + 1
    assert (metric("setwise_stage_duration_seconds_count", method="Search", stage="rerank") or 0) >= 1
    assert (metric("setwise_images_recalled_total") or 0) > recalled
    gone = sum(metric("setwise_images_pruned_total", bound=bound) or 0 for bound in BOUNDS)
    assert gone + (metric("setwise_images_solved_total") or 0) == metric("setwise_images_recalled_total")


def test_prometheus_sees_what_the_server_holds_and_does(told: tuple[Any, Metric]) -> None:
    stubs, metric = told
    (held,) = stubs.collections.ListCollections(collections_pb2.ListCollectionsRequest()).collections

    assert metric("setwise_loaded") == 1
    assert metric("setwise_collections", state="ready") == 1
    assert metric("setwise_collection_images", collection="sets") == held.images
    assert metric("setwise_collection_tokens", collection="sets") == held.tokens
    assert metric("setwise_collection_bytes", collection="sets") == held.bytes
    assert metric("setwise_pool_running", pool="unary") == 0
    assert metric("setwise_pool_waiting", pool="unary") == 0
    assert metric("setwise_forward_pass_images_count") == 0
    assert metric("setwise_query_cache_lookups_total", result="hit") == 0


def test_what_was_refused_is_counted_by_its_reason(told: tuple[Any, Metric]) -> None:
    stubs, metric = told
    before = metric("setwise_failures_total", reason="NOT_FOUND", limit="") or 0

    with pytest.raises(grpc.RpcError):
        search(stubs, id="no such image")

    assert metric("setwise_failures_total", reason="NOT_FOUND", limit="") == before + 1


def test_of_what_went_over_a_limit_the_limit_is_told(told: tuple[Any, Metric]) -> None:
    stubs, metric = told
    request = search_pb2.SearchRequest(query=types.Query(id="set-01"))
    request.options.k = 10**6

    with pytest.raises(grpc.RpcError):
        stubs.search.Search(request)

    assert metric("setwise_failures_total", reason="LIMIT_EXCEEDED", limit="max_k") == 1


def test_a_caller_who_waits_no_more_is_counted_as_he_hears_it_himself(told: tuple[Any, Metric], gate: Any) -> None:
    stubs, metric = told
    request = search_pb2.SearchRequest(query=types.Query(id="set-01"))

    leaving = stubs.search.Search.future(request)
    assert gate.entered.acquire(timeout=10)
    leaving.cancel()
    with pytest.raises(grpc.RpcError):
        stubs.search.Search(request, timeout=3.0)
    gate.opened.set()

    for code in ("CANCELLED", "DEADLINE_EXCEEDED"):
        assert within(10, lambda code=code: metric("setwise_requests_total", method="Search", code=code) == 1)


def within(seconds: float, happens: Callable[[], bool]) -> bool:
    """Whether it happens in so many seconds."""
    until = time.monotonic() + seconds
    while not (happened := happens()) and time.monotonic() < until:
        time.sleep(0.05)
    return happened


def test_a_slow_search_is_logged_with_all_that_explains_it(
    told: tuple[Any, Metric], caplog: pytest.LogCaptureFixture
) -> None:
    stubs, _ = told

    call = search(stubs, "slow-1")

    (line,) = lines(caplog, "setwise.slow")
    assert dict(call.trailing_metadata())["x-request-id"] == line["request_id"] == "slow-1"
    assert line["method"] == "Search"
    assert line["code"] == "OK"
    assert line["asked"] == {"query.id": "set-01"}
    assert {"queue", "recall", "rerank", "fetch"} <= set(line["stages"])
    assert sum(line["stages"].values()) <= line["ms"]
    assert line["counts"]["searches"] == 1
    assert line["counts"]["recalled"] > 0


def test_a_failed_call_is_logged_with_its_reason_and_those_that_went_well_at_debug(
    told: tuple[Any, Metric], caplog: pytest.LogCaptureFixture
) -> None:
    stubs, _ = told
    caplog.set_level(logging.DEBUG, "setwise.server")

    with pytest.raises(grpc.RpcError):
        search(stubs, "bad-1", id="no such image")
    stubs.server.GetServerInfo(server_pb2.GetServerInfoRequest(), metadata=(("x-request-id", "good-1"),))

    levels = {
        record.fields["request_id"]: record.levelname for record in caplog.records if record.name == "setwise.server"
    }
    assert levels == {"bad-1": "INFO", "good-1": "DEBUG"}
    bad, _ = lines(caplog, "setwise.server")
    assert (bad["code"], bad["reason"]) == ("NOT_FOUND", "NOT_FOUND")


def test_what_a_thread_logs_of_a_call_carries_the_request_id_that_its_caller_hears(
    told: tuple[Any, Metric], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubs, _ = told
    monkeypatch.setattr("setwise_engine.search.Searcher.search_id", lambda *_, **__: 1 / 0)

    request = search_pb2.SearchBatchRequest(queries=[types.Query(id="set-01")])
    answer = stubs.search.SearchBatch(request, metadata=(("x-request-id", "batch-1"),))

    assert "batch-1" in answer.items[0].error.message
    (failed,) = (record for record in caplog.records if record.levelname == "ERROR" and record.exc_info)
    assert "batch-1" in failed.getMessage()
