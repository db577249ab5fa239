"""The code table, the details, and what is never told."""

from __future__ import annotations

import gc
import logging
import weakref

import grpc
import pytest

from setwise_engine import errors
from setwise_server._errors import BusyError, LimitError, NotReadyError, ReplyTooLargeError, at
from setwise_server._status import grpc_code, status_of

CODES = [
    (errors.InvalidInput, "INVALID_ARGUMENT"),
    (errors.ImageError, "INVALID_ARGUMENT"),
    (errors.FeatureError, "INVALID_ARGUMENT"),
    (errors.NotFound, "NOT_FOUND"),
    (errors.Incompatible, "FAILED_PRECONDITION"),
    (errors.Unavailable, "FAILED_PRECONDITION"),
    (errors.CollectionError, "FAILED_PRECONDITION"),
    (errors.FormatError, "FAILED_PRECONDITION"),
    (errors.CorruptError, "DATA_LOSS"),
    (errors.LockedError, "ABORTED"),
    (errors.ReadOnlyError, "FAILED_PRECONDITION"),
    (errors.DeadlineError, "DEADLINE_EXCEEDED"),
    (errors.CancelledError, "CANCELLED"),
    (BusyError, "RESOURCE_EXHAUSTED"),
    (ReplyTooLargeError, "RESOURCE_EXHAUSTED"),
    (NotReadyError, "UNAVAILABLE"),
]


@pytest.mark.parametrize(("error", "code"), CODES)
def test_every_error_has_its_code_and_its_reason(failure_of, error, code) -> None:
    failure = failure_of(status_of(error("a sentence")))
    assert grpc_code(failure.status) is grpc.StatusCode[code]
    assert failure.status.message == "a sentence"
    assert (failure.info.domain, failure.info.reason) == ("setwise", error.reason)
    assert not failure.violations


def test_no_error_of_the_engine_is_without_a_code() -> None:
    unknown = [name for name in errors.__all__ if grpc_code(status_of(getattr(errors, name)(""))).name == "UNKNOWN"]
    assert unknown == ["EngineError"]


def test_a_field_is_told_as_a_violation_and_in_the_info(failure_of) -> None:
    failure = failure_of(status_of(errors.InvalidInput("k is 0", field="options.k")))
    assert [(violation.field, violation.description) for violation in failure.violations] == [("options.k", "k is 0")]
    assert failure.info.metadata["field"] == "options.k"


def test_a_limit_is_told_by_name_and_value(failure_of) -> None:
    failure = failure_of(status_of(LimitError("k is 2000", field="options.k", limit="max_k", allowed=1000)))
    assert dict(failure.info.metadata) == {"limit": "max_k", "allowed": "1000", "field": "options.k"}


@pytest.mark.parametrize("error", [BusyError, NotReadyError, errors.LockedError])
def test_what_may_be_tried_again_says_when(failure_of, error) -> None:
    assert failure_of(status_of(error("later"))).retry.retry_delay.seconds == 1


@pytest.mark.parametrize("error", [errors.InvalidInput, ReplyTooLargeError, errors.CorruptError])
def test_what_would_fail_again_does_not(failure_of, error) -> None:
    assert failure_of(status_of(error("never"))).retry is None


def test_a_fault_of_ours_tells_a_request_id_and_nothing_else(failure_of, caplog) -> None:
    with caplog.at_level(logging.ERROR, "setwise.server"):
        failure = failure_of(status_of(RuntimeError("secret /etc/path")))
    assert grpc_code(failure.status) is grpc.StatusCode.INTERNAL
    assert "secret" not in failure.status.message
    assert failure.info.metadata["request_id"] in failure.status.message
    assert failure.info.metadata["request_id"] in caplog.text
    assert "secret /etc/path" in caplog.text


def test_one_fault_that_many_are_told_of_is_logged_once(caplog) -> None:
    error = RuntimeError("one commit for a thousand images")
    with caplog.at_level(logging.ERROR, "setwise.server"):
        messages = {status_of(error).message for _ in range(1000)}
    assert (len(messages), len(caplog.records)) == (1, 1)


def test_a_long_or_undecodable_sentence_still_fits_in_the_trailers() -> None:
    status = status_of(errors.NotFound("\udcff" + "ü" * 5000, field="f" * 5000))
    assert len(status.message.encode()) <= 700
    assert status.message.endswith(" ...")
    assert status.ByteSize() < 3000


def test_what_was_told_keeps_nothing_of_the_call() -> None:
    class Request:
        pass

    def handle(request: Request) -> None:
        try:
            raise KeyError("photos")
        except KeyError as error:
            raise errors.NotFound("no such collection") from error

    def refused() -> weakref.ref[Request]:
        request = Request()
        try:
            handle(request)
        except errors.NotFound as raised:
            kept = raised  # as whoever carries it to another thread
        status_of(kept)
        return weakref.ref(request)

    gc.disable()
    try:
        assert refused()() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("inner", "outer"), [("", "query.image"), ("image", "query.image"), ("tokens", "query.image.tokens")]
)
def test_at_says_where_in_the_request_the_fault_lies(inner: str, outer: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught, at("query.image"):
        raise errors.InvalidInput("wrong", field=inner)
    assert caught.value.field == outer
