"""Metrics of calls, counted as they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TypeVar, cast

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from setwise_engine.search import Scope
from setwise_server._record import BOUNDS
from setwise_server._visit import Visit
from setwise_server.observe._outcome import Outcome

__all__ = ["CallMetrics"]

M = TypeVar("M", bound=MetricWrapperBase)

CALL_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
STAGE_S = (0.0001, 0.00025, 0.0005, *CALL_S)


class CallMetrics:
    """Every label takes few values: methods, codes, reasons and stages are lists of ours, callers are those known by
    their keys or certificates. For the event loop's thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        requests = Counter(
            "setwise_requests", "Calls that have ended, by status code.", ("method", "code"), registry=registry
        )
        seconds = Histogram(
            "setwise_request_duration_seconds",
            "From a call's arrival to its end.",
            ("method", "code"),
            buckets=CALL_S,
            registry=registry,
        )
        stages = Histogram(
            "setwise_stage_duration_seconds",
            "Spent in a stage by a call, over all its queries.",
            ("method", "stage"),
            buckets=STAGE_S,
            registry=registry,
        )
        failures = Counter(
            "setwise_failures", "Calls that were refused or failed, by reason.", ("reason", "limit"), registry=registry
        )
        callers = Counter(
            "setwise_caller_requests", "Calls that have ended, by caller.", ("caller",), registry=registry
        )
        in_flight = Gauge(
            "setwise_requests_in_flight", "Calls that have arrived and not ended.", ("method",), registry=registry
        )
        self._requests, self._seconds, self._stages = _series(requests), _series(seconds), _series(stages)
        self._failures, self._callers, self._in_flight = _series(failures), _series(callers), _series(in_flight)
        self._searches = _SearchMetrics(registry)

    @contextmanager
    def during(self, visit: Visit) -> Iterator[None]:
        """Around a whole call."""
        in_flight = self._in_flight(visit.rpc)
        in_flight.inc()
        try:
            yield
        finally:
            in_flight.dec()

    def ended(self, visit: Visit, outcome: Outcome) -> None:
        """The call came to this."""
        method, code = visit.rpc, outcome.code.name
        self._requests(method, code).inc()
        self._seconds(method, code).observe(outcome.seconds)
        self._callers(visit.caller.name).inc()
        if outcome.code is not grpc.StatusCode.OK:
            self._failures(outcome.reason or code, outcome.limit).inc()
        for stage, seconds in dict(visit.record.stages).items():
            self._stages(method, stage).observe(seconds)
        if visit.record.searches:
            self._searches.ended(visit)


class _SearchMetrics:
    """What rankings came to."""

    def __init__(self, registry: CollectorRegistry) -> None:
        searches = Counter("setwise_searches", "Rankings made, by what was proven.", ("scope",), registry=registry)
        self._scopes = {scope: searches.labels(scope.value) for scope in Scope}
        self._recalled = Counter("setwise_images_recalled", "Candidates of rankings.", registry=registry)
        pruned = Counter(
            "setwise_images_pruned", "Candidates that a bound ruled out, by bound.", ("bound",), registry=registry
        )
        self._pruned = {bound: pruned.labels(bound) for bound in BOUNDS}
        self._solved = Counter("setwise_images_solved", "Candidates whose matching was solved.", registry=registry)
        self._unexamined = Counter(
            "setwise_images_unexamined", "Candidates that were left when the time ran out.", registry=registry
        )

    def ended(self, visit: Visit) -> None:
        record = visit.record
        self._scopes[Scope.COLLECTION].inc(record.proven)
        self._scopes[Scope.PARTIAL].inc(record.partial)
        self._scopes[Scope.CANDIDATES].inc(record.searches - record.proven - record.partial)
        self._recalled.inc(record.recalled)
        self._solved.inc(record.solved)
        self._unexamined.inc(record.unexamined)
        for bound, counter in self._pruned.items():
            counter.inc(getattr(record, bound))


def _series(metric: M) -> Callable[..., M]:
    """The series of a metric with the labels that it is given; found again faster than by `labels`, which took half of
    the time that all metrics of a call take."""
    return cast(Callable[..., M], cache(metric.labels))
