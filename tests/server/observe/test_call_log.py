"""Which calls the log tells of, and at which level."""

from __future__ import annotations

import logging

import grpc
import pytest

from setwise_server._visit import Visit
from setwise_server.observe._call_log import LINES_A_SECOND, CallLog
from setwise_server.observe._outcome import Outcome

UPSERT = "/setwise.v1.ImageService/Upsert"


def visit(method: str = "/setwise.v1.SearchService/Search") -> Visit:
    """A call."""
    return Visit(method, "asked-1", "ipv4:127.0.0.1:1")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> CallLog:
    """Tells of calls of 100 ms and more; `caplog` has every line."""
    caplog.set_level(logging.DEBUG, "setwise")
    return CallLog(100, frozenset({UPSERT}))


@pytest.mark.parametrize(
    ("code", "level"),
    [
        (grpc.StatusCode.OK, "DEBUG"),
        (grpc.StatusCode.NOT_FOUND, "INFO"),
        (grpc.StatusCode.CANCELLED, "INFO"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "WARNING"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "WARNING"),
        (grpc.StatusCode.INTERNAL, "ERROR"),
        (grpc.StatusCode.DATA_LOSS, "ERROR"),
        (grpc.StatusCode.UNAUTHENTICATED, "DEBUG"),  # the audit log has it
    ],
)
def test_the_more_it_is_the_servers_trouble_the_louder(
    log: CallLog, caplog: pytest.LogCaptureFixture, code: grpc.StatusCode, level: str
) -> None:
    log.ended(visit(), Outcome(0.001, code))

    assert [record.levelname for record in caplog.records] == [level]


@pytest.mark.parametrize(("reason", "level"), [("COLLECTION_ERROR", "ERROR"), ("INCOMPATIBLE", "INFO")])
def test_a_disk_that_refuses_is_no_mistake_of_the_caller(
    log: CallLog, caplog: pytest.LogCaptureFixture, reason: str, level: str
) -> None:
    log.ended(visit(), Outcome(0.001, grpc.StatusCode.FAILED_PRECONDITION, reason))

    assert [record.levelname for record in caplog.records] == [level]


@pytest.mark.parametrize(("seconds", "lines"), [(0.0999, 0), (0.1, 1), (5.0, 1)])
def test_slow_begins_at_the_limit(log: CallLog, caplog: pytest.LogCaptureFixture, seconds: float, lines: int) -> None:
    log.ended(visit(), Outcome(seconds, grpc.StatusCode.OK))

    assert [record.name for record in caplog.records].count("setwise.slow") == lines


def test_a_stream_is_never_slow_and_without_a_limit_nothing_is(caplog: pytest.LogCaptureFixture) -> None:
    CallLog(0, frozenset({UPSERT})).ended(visit(UPSERT), Outcome(3600.0, grpc.StatusCode.OK))
    CallLog(None, frozenset()).ended(visit(), Outcome(3600.0, grpc.StatusCode.OK))

    assert not [record for record in caplog.records if record.name == "setwise.slow"]


def test_what_a_slow_call_did_not_do_is_left_out(log: CallLog, caplog: pytest.LogCaptureFixture) -> None:
    log.ended(visit(), Outcome(1.0, grpc.StatusCode.OK))

    (slow,) = (record for record in caplog.records if record.name == "setwise.slow")
    assert set(slow.fields) == {"request_id", "method", "caller", "peer", "code", "ms"}  # type: ignore[attr-defined]


def test_a_flood_of_refusals_is_a_few_lines_and_other_outcomes_are_still_told(
    log: CallLog, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(1000):
        log.ended(visit(), Outcome(0.0001, grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY", "later"))
    log.ended(visit(), Outcome(0.0001, grpc.StatusCode.INTERNAL, "INTERNAL", "oh"))

    busy = [record for record in caplog.records if record.levelname == "WARNING"]
    assert LINES_A_SECOND <= len(busy) < 1000
    assert caplog.records[-1].levelname == "ERROR"


def test_at_debug_nothing_is_left_out(log: CallLog, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5 * LINES_A_SECOND):
        log.ended(visit(), Outcome(0.001, grpc.StatusCode.OK))

    assert len(caplog.records) == 5 * LINES_A_SECOND
