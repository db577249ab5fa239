"""The one place where an exception becomes a status: its code, its sentence and its machine-readable details."""

from __future__ import annotations

import contextlib
import logging
import uuid
from datetime import timedelta
from functools import lru_cache

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from setwise_engine import errors
from setwise_proto.v1.types_pb2 import ItemError
from setwise_server._errors import (
    BusyError,
    ForbiddenError,
    NotReadyError,
    ReplyTooLargeError,
    UnauthenticatedError,
    UnknownMethodError,
)
from setwise_server._visit import VISIT

__all__ = ["DETAILS_KEY", "DOMAIN", "error_info", "grpc_code", "item_error", "status_of"]

DOMAIN = "setwise"
DETAILS_KEY = "grpc-status-details-bin"
RETRY_AFTER_S = 1.0
# Clients refuse more than 8 KiB of trailers. The sentence travels in them up to three times, once percent-encoded.
MESSAGE_BYTES = 700
FIELD_BYTES = 200

log = logging.getLogger("setwise.server")

CODES: tuple[tuple[type[errors.EngineError], grpc.StatusCode], ...] = (
    (ReplyTooLargeError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (BusyError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (UnauthenticatedError, grpc.StatusCode.UNAUTHENTICATED),
    (ForbiddenError, grpc.StatusCode.PERMISSION_DENIED),
    (NotReadyError, grpc.StatusCode.UNAVAILABLE),
    (UnknownMethodError, grpc.StatusCode.UNIMPLEMENTED),
    (errors.InvalidInput, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND),
    (errors.AlreadyExists, grpc.StatusCode.ALREADY_EXISTS),
    (errors.Incompatible, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.Unavailable, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.CorruptError, grpc.StatusCode.DATA_LOSS),
    (errors.LockedError, grpc.StatusCode.ABORTED),
    (errors.CollectionError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.DeadlineError, grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.CancelledError, grpc.StatusCode.CANCELLED),
)
RETRIABLE = (BusyError, NotReadyError, errors.LockedError)
BY_NUMBER: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def status_of(error: Exception, request_id: str | None = None) -> Status:
    """The status of a failed call, ErrorInfo first. An exception that nobody meant to raise is logged with its
    traceback under a request id (the one given, or a new one), once however many hear of it; only the id is told. Not
    to be changed: several calls may be told the same."""
    status = _refused(error) if isinstance(error, errors.EngineError) else _internal(error, request_id)
    _let_go(error)
    return status


def grpc_code(status: Status) -> grpc.StatusCode:
    """The gRPC code of a status."""
    return BY_NUMBER[status.code]


def error_info(status: Status) -> ErrorInfo:
    """The ErrorInfo of a status that `status_of` made."""
    info = ErrorInfo()
    status.details[0].Unpack(info)
    return info


def item_error(error: Exception) -> ItemError:
    """As `status_of`, for one item of several of the call that is answered here."""
    visit = VISIT.get(None)
    status = status_of(error, visit.request_id if visit is not None else None)
    info = error_info(status)
    return ItemError(code=status.code, message=status.message, reason=info.reason, field=info.metadata["field"])


def _refused(error: errors.EngineError) -> Status:
    retry_after = getattr(error, "retry_after", RETRY_AFTER_S) if isinstance(error, RETRIABLE) else None
    info = tuple(getattr(error, "info", {}).items())
    field, message = _shorten(error.field, FIELD_BYTES), _shorten(str(error), MESSAGE_BYTES)
    return _told(_code(error), error.reason, message, field=field, info=info, retry_after=retry_after)


def _let_go(error: BaseException) -> None:
    """The frames that an exception went through hold the request and the exception itself: a ring, which would keep
    16 MiB a refused call until the collector of rings comes to its oldest, in a quiet server hours later."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = None
            left += [each.__cause__, each.__context__]


@lru_cache(maxsize=64)  # a server that is full says the same thing a thousand times a second
def _told(
    code: grpc.StatusCode,
    reason: str,
    message: str,
    *,
    field: str,
    info: tuple[tuple[str, str], ...],
    retry_after: float | None,
) -> Status:
    metadata = dict(info) | ({"field": field} if field else {})
    details: list[Message] = [ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)]
    if field:
        violation = BadRequest.FieldViolation(field=field, description=message)
        details.append(BadRequest(field_violations=[violation]))
    if retry_after is not None:
        details.append(RetryInfo(retry_delay=timedelta(seconds=retry_after)))
    return _status(code, message, details)


def _code(error: errors.EngineError) -> grpc.StatusCode:
    return next((code for kind, code in CODES if isinstance(error, kind)), grpc.StatusCode.UNKNOWN)


def _internal(error: Exception, request_id: str | None) -> Status:
    known: str | None = getattr(error, "setwise_request_id", None)
    if known is not None:  # one commit's failure is told to all who share it, and logged once
        request_id = known
    else:
        request_id = request_id or uuid.uuid4().hex[:12]
        log.error("request %s failed inside the server", request_id, exc_info=error)
        with contextlib.suppress(AttributeError):  # exceptions with slots take no further attribute
            error.setwise_request_id = request_id  # type: ignore[attr-defined]
    message = f"the server failed inside; its log tells why under request id {request_id}"
    info = ErrorInfo(reason="INTERNAL", domain=DOMAIN, metadata={"request_id": request_id})
    return _status(grpc.StatusCode.INTERNAL, message, [info])


def _status(code: grpc.StatusCode, message: str, details: list[Message]) -> Status:
    packed = []
    for detail in details:
        packed.append(AnyMessage())
        packed[-1].Pack(detail)
    return Status(code=code.value[0], message=message, details=packed)


def _shorten(text: str, limit: int) -> str:
    """`text` as valid UTF-8 of at most `limit` bytes: a file name may hold bytes that are none."""
    data = text.encode("utf-8", "replace")
    if len(data) > limit:
        data = data[: limit - 4] + b" ..."
    return data.decode("utf-8", "ignore")
