"""Every failure is an error of the client's own."""

from __future__ import annotations

import copy
import pickle
import re

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

import setwise
from setwise import _errors
from setwise._status import CODES, make_error, parse_details, parse_status


def status(code: int, *details: Message) -> Status:
    packed = []
    for detail in details:
        packed.append(Any())
        packed[-1].Pack(detail)
    return Status(code=code, message="the sentence", details=packed)


def test_every_grpc_status_has_a_class() -> None:
    names = {code.value[0]: code.name for code in grpc.StatusCode if code is not grpc.StatusCode.OK}
    assert {number: name for number, (name, _) in CODES.items()} == names


def test_the_table_in_the_documentation_is_the_one_that_is_used() -> None:
    documented = re.findall(r"([A-Z_]{5,})\s+(\d+)\s+(\w+Error)", _errors.__doc__ or "")
    assert {(name, int(number), kind) for name, number, kind in documented} == {
        (name, number, kind.__name__) for number, (name, kind) in CODES.items()
    }


def test_the_tree_in_the_documentation_names_every_error() -> None:
    assert set(re.findall(r"[├└]── (\w+)", _errors.__doc__ or "")) == set(_errors.__all__) - {"SetwiseError"}
    assert set(_errors.__all__) <= set(setwise.__all__)


@pytest.mark.parametrize("name", _errors.__all__)
def test_errors_survive_copy_and_pickle(name: str) -> None:
    error = getattr(setwise, name)("what was wrong", reason="R", field="query", retry_after=1.5, details={"a": "b"})
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(twin), str(twin), twin.to_dict()) == (type(error), "what was wrong", error.to_dict())
        assert twin.details == {"a": "b"}


def test_python_idioms_work() -> None:
    assert issubclass(setwise.InvalidArgumentError, ValueError)
    assert issubclass(setwise.NotFoundError, LookupError)
    assert issubclass(setwise.DeadlineExceededError, TimeoutError)
    assert issubclass(setwise.UnavailableError, ConnectionError)
    assert issubclass(setwise.MissingExtraError, ImportError)


def test_details_are_read() -> None:
    error = parse_status(
        status(
            8,
            ErrorInfo(reason="SERVER_BUSY", domain="setwise", metadata={"queue": "64"}),
            BadRequest(field_violations=[BadRequest.FieldViolation(field="query.image", description="large")]),
            RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)),
        )
    )
    assert type(error) is setwise.ResourceExhaustedError
    assert (error.message, error.code, error.reason) == ("the sentence", "RESOURCE_EXHAUSTED", "SERVER_BUSY")
    assert (error.field, error.retry_after, error.details) == ("query.image", 1.5, {"queue": "64"})
    assert error.retriable


def test_only_what_may_pass_is_retriable() -> None:
    assert make_error(14, "nobody there").retriable
    assert make_error(8, "full", retry_after=1.0).retriable
    assert not make_error(8, "too large").retriable
    assert not any(make_error(code, "no").retriable for code in CODES if code not in (8, 14))


def test_trailers_count_only_when_they_agree_with_the_code() -> None:
    key = "grpc-status-details-bin"
    rich = status(5, ErrorInfo(reason="NOT_FOUND")).SerializeToString()
    assert parse_details(5, "plain", [("other", "x"), (key, rich)]).message == "the sentence"
    assert parse_details(14, "plain", [(key, rich)]).message == "plain"
    assert parse_details(5, "plain", [(key, b"\xff\xff")]).message == "plain"


def test_an_unknown_code_is_an_internal_error() -> None:
    assert type(make_error(99, "new")) is setwise.InternalError
