"""The metrics as Prometheus reads them: over HTTP, in its own format, parsed by its own parser."""

from __future__ import annotations

import socket
from collections.abc import Callable
from urllib.request import urlopen

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from setwise_server._errors import PortError
from setwise_server._visit import Visit
from setwise_server.observe._exporter import Exporter
from setwise_server.observe._outcome import Outcome
from setwise_server.security import Access, Caller

Value = Callable[..., float | None]


@pytest.fixture
def metrics() -> Exporter:
    """The metrics of a server; nothing listens."""
    return Exporter("127.0.0.1", 0)


@pytest.fixture
def value(metrics: Exporter) -> Value:
    """What is told of a metric with these labels; None for nothing."""
    return lambda name, **labels: metrics.registry.get_sample_value(name, labels)


def a_search() -> Visit:
    """A search that recalled ten candidates, of which the bounds ruled out seven."""
    visit = Visit("/setwise.v1.SearchService/Search", "id", "ipv4:127.0.0.1:1", Caller("shop", Access.READ))
    record = visit.record
    record.searches, record.proven, record.recalled = 1, 1, 10
    record.gate, record.bound, record.solved = 4, 3, 3
    record.add("recall", 0.002)
    return visit


def test_calls_are_counted_by_method_code_and_caller(metrics: Exporter, value: Value) -> None:
    metrics.calls.ended(a_search(), Outcome(0.02, grpc.StatusCode.OK))
    metrics.calls.ended(
        a_search(), Outcome(0.0001, grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY", "later", "max_queue")
    )

    assert value("setwise_requests_total", method="Search", code="OK") == 1
    assert value("setwise_requests_total", method="Search", code="RESOURCE_EXHAUSTED") == 1
    assert value("setwise_failures_total", reason="SERVER_BUSY", limit="max_queue") == 1
    assert value("setwise_caller_requests_total", caller="shop") == 2


def test_latencies_fall_into_buckets_by_method_and_stage(metrics: Exporter, value: Value) -> None:
    metrics.calls.ended(a_search(), Outcome(0.02, grpc.StatusCode.OK))

    whole = {"method": "Search", "code": "OK"}
    assert value("setwise_request_duration_seconds_bucket", le="0.01", **whole) == 0
    assert value("setwise_request_duration_seconds_bucket", le="0.025", **whole) == 1
    assert value("setwise_stage_duration_seconds_sum", method="Search", stage="recall") == 0.002


def test_what_each_bound_ruled_out_and_what_was_proven(metrics: Exporter, value: Value) -> None:
    metrics.calls.ended(a_search(), Outcome(0.02, grpc.StatusCode.OK))

    assert value("setwise_searches_total", scope="collection") == 1
    assert value("setwise_searches_total", scope="candidates") == 0
    assert value("setwise_images_recalled_total") == 10
    assert value("setwise_images_pruned_total", bound="gate") == 4
    assert value("setwise_images_pruned_total", bound="bound") == 3
    assert value("setwise_images_pruned_total", bound="dual") == 0
    assert value("setwise_images_solved_total") == 3


def test_calls_in_flight(metrics: Exporter, value: Value) -> None:
    with metrics.calls.during(a_search()):
        assert value("setwise_requests_in_flight", method="Search") == 1
    assert value("setwise_requests_in_flight", method="Search") == 0


def test_prometheus_reads_them_over_http(metrics: Exporter) -> None:
    metrics.calls.ended(a_search(), Outcome(0.02, grpc.StatusCode.OK))

    url = metrics.start()
    try:
        with urlopen(url, timeout=10) as answer:
            families = {family.name: family for family in text_string_to_metric_families(answer.read().decode())}
    finally:
        metrics.stop()

    (sample,) = (each for each in families["setwise_requests"].samples if each.name == "setwise_requests_total")
    assert (sample.labels, sample.value) == ({"method": "Search", "code": "OK"}, 1)
    assert families["setwise_build_info"].samples[0].labels["version"]


def test_the_memory_of_the_process_is_told(value: Value) -> None:
    resident, own = value("process_resident_memory_bytes"), value("setwise_anonymous_memory_bytes")

    assert resident is not None
    assert own is not None
    assert 0 < own < resident


def test_two_servers_in_a_process_count_apart() -> None:
    first, second = Exporter("127.0.0.1", 0), Exporter("127.0.0.1", 0)

    first.calls.ended(a_search(), Outcome(0.02, grpc.StatusCode.OK))

    labels = {"method": "Search", "code": "OK"}
    assert first.registry.get_sample_value("setwise_requests_total", labels) == 1
    assert second.registry.get_sample_value("setwise_requests_total", labels) is None


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortError) as caught:
        Exporter("127.0.0.1", taken.getsockname()[1]).start()

    assert caught.value.field == "--metrics-port"
    assert "in use" in str(caught.value)


def test_an_address_that_is_not_this_machines_is_named() -> None:
    with pytest.raises(PortError, match=r"192\.0\.2\.1"):
        Exporter("192.0.2.1", 0).start()
