"""From google.rpc.Status, and from whatever else reports a failure, to the client's own errors."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from setwise._errors import (
    CancelledError,
    ConflictError,
    DataLossError,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExhaustedError,
    SetwiseError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
)
from setwise._request import REQUEST_ID_KEY, current_request_id

__all__ = ["CODES", "make_error", "parse_details", "parse_status"]

CODES: dict[int, tuple[str, type[SetwiseError]]] = {
    1: ("CANCELLED", CancelledError),
    2: ("UNKNOWN", InternalError),
    3: ("INVALID_ARGUMENT", InvalidArgumentError),
    4: ("DEADLINE_EXCEEDED", DeadlineExceededError),
    5: ("NOT_FOUND", NotFoundError),
    6: ("ALREADY_EXISTS", ConflictError),
    7: ("PERMISSION_DENIED", PermissionDeniedError),
    8: ("RESOURCE_EXHAUSTED", ResourceExhaustedError),
    9: ("FAILED_PRECONDITION", FailedPreconditionError),
    10: ("ABORTED", ConflictError),
    11: ("OUT_OF_RANGE", InvalidArgumentError),
    12: ("UNIMPLEMENTED", UnimplementedError),
    13: ("INTERNAL", InternalError),
    14: ("UNAVAILABLE", UnavailableError),
    15: ("DATA_LOSS", DataLossError),
    16: ("UNAUTHENTICATED", UnauthenticatedError),
}

_DETAILS_KEY = "grpc-status-details-bin"


def make_error(
    code: int, message: str, *, reason: str = "", field: str = "", retry_after: float | None = None
) -> SetwiseError:
    """The error that the current request met, of a gRPC status code; a number that no status has counts as UNKNOWN."""
    name, kind = CODES.get(code, CODES[2])
    named = current_request_id()
    return kind(message, code=name, reason=reason, field=field, retry_after=retry_after, request_id=named)


def parse_status(status: Status) -> SetwiseError:
    """The error of a status that is not OK, with the reason, field and waiting time that its details carry."""
    error = make_error(status.code, status.message)
    for detail in status.details:
        _add_detail(error, detail)
    return error


def _add_detail(error: SetwiseError, detail: Any) -> None:
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    if detail.Unpack(info):
        error.reason, error.details = info.reason, dict(info.metadata)
    elif detail.Unpack(bad):
        error.field = next((violation.field for violation in bad.field_violations), error.field)
    elif detail.Unpack(retry):
        error.retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9


def parse_details(code: int, message: str, trailers: Iterable[tuple[str, str | bytes]]) -> SetwiseError:
    """The error of a gRPC call: its rich details when the server sent some that agree with the code."""
    found = dict(trailers)
    error = _rich(code, found.get(_DETAILS_KEY)) or make_error(code, message)
    if isinstance(named := found.get(REQUEST_ID_KEY), str):
        error.request_id = named
    return error


def _rich(code: int, details: str | bytes | None) -> SetwiseError | None:
    try:
        status = Status.FromString(details) if isinstance(details, bytes) else Status()
    except DecodeError:
        return None
    return parse_status(status) if status.code == code else None
