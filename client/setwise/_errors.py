"""Everything a client raises, and what each gRPC status becomes.

SetwiseError
├── InvalidArgumentError (ValueError)     a value of the caller's is wrong: change it, do not retry
├── NotFoundError (LookupError)           no such image, collection or file
├── FailedPreconditionError               two things that do not fit, or a collection that cannot be used
│   ├── MissingExtraError (ImportError)   a directory was opened without `pip install "setwise[server]"`
│   ├── NotRequestedError                 an answer lacks what a picture needs; says how to ask for it
│   └── ClosedError                       the client was closed
├── ConflictError                         somebody else holds or has made it
├── DataLossError                         stored bytes differ from what was written
├── ProofError                            the proof of a hit does not hold for the tokens it was checked with
├── DeadlineExceededError (TimeoutError)  the timeout has passed
├── CancelledError                        the call was cancelled
├── ResourceExhaustedError                the server is full (retriable when it says when), or a limit was passed
├── UnavailableError (ConnectionError)    no server answers; retriable
├── PermissionDeniedError                 not allowed
├── UnauthenticatedError                  not known to the server
├── UnimplementedError                    the server is too old for this call
└── InternalError                         a bug in the server; its log says more

gRPC status            class                     gRPC status            class
CANCELLED           1  CancelledError            FAILED_PRECONDITION 9  FailedPreconditionError
UNKNOWN             2  InternalError             ABORTED            10  ConflictError
INVALID_ARGUMENT    3  InvalidArgumentError      OUT_OF_RANGE       11  InvalidArgumentError
DEADLINE_EXCEEDED   4  DeadlineExceededError     UNIMPLEMENTED      12  UnimplementedError
NOT_FOUND           5  NotFoundError             INTERNAL           13  InternalError
ALREADY_EXISTS      6  ConflictError             UNAVAILABLE        14  UnavailableError
PERMISSION_DENIED   7  PermissionDeniedError     DATA_LOSS          15  DataLossError
RESOURCE_EXHAUSTED  8  ResourceExhaustedError    UNAUTHENTICATED    16  UnauthenticatedError
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

__all__ = [
    "CancelledError",
    "ClosedError",
    "ConflictError",
    "DataLossError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "InternalError",
    "InvalidArgumentError",
    "MissingExtraError",
    "NotFoundError",
    "NotRequestedError",
    "PermissionDeniedError",
    "ProofError",
    "ResourceExhaustedError",
    "SetwiseError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
]


class SetwiseError(Exception):
    """Base of everything that a client raises on purpose.

        try:
            hits = client.search("photo.jpg")
        except setwise.UnavailableError as error:
            print(error.message, error.retriable)

    message: a sentence that names the value at fault and says what to do.
    code: name of the gRPC status, such as "INVALID_ARGUMENT".
    reason: stable upper-case name of the error, such as "INVALID_IMAGE"; empty when the server gave none.
    field: the argument or request field at fault; empty when none is.
    details: further facts by name, as the server sent them.
    request_id: what the call is named in the server's log; empty for an error of the client's own.
    retry_after: seconds to wait before asking again; None when the server did not say.
    """

    status: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        reason: str = "",
        field: str = "",
        retry_after: float | None = None,
        details: Mapping[str, str] | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.status
        self.reason = reason or self.code
        self.field = field
        self.retry_after = retry_after
        self.details = dict(details or {})
        self.request_id = request_id

    @property
    def retriable(self) -> bool:
        """Whether the same call may succeed later: nobody answered, a full server said when to come back, or another
        process was writing to the collection (then nothing was stored)."""
        full = self.code == "RESOURCE_EXHAUSTED" and self.retry_after is not None
        gone = self.code == "UNAVAILABLE" and self.reason != "TLS_FAILED"
        return full or gone or self.reason == "LOCKED"

    def to_dict(self) -> dict[str, str | float | bool | None]:
        """The error as values that JSON knows."""
        facts: dict[str, str | float | bool | None] = {"code": self.code, "reason": self.reason, "field": self.field}
        facts |= {"message": self.message, "retriable": self.retriable, "retry_after": self.retry_after}
        return facts | {"request_id": self.request_id}


class InvalidArgumentError(SetwiseError, ValueError):
    """A value of the caller's is wrong: change it, do not retry."""

    status = "INVALID_ARGUMENT"


class NotFoundError(SetwiseError, LookupError):
    """No such image, collection or file."""

    status = "NOT_FOUND"


class FailedPreconditionError(SetwiseError):
    """Two things that do not fit together, or a collection that cannot be used."""

    status = "FAILED_PRECONDITION"


class MissingExtraError(FailedPreconditionError, ImportError):
    """A package that this use of Setwise needs is not installed."""


class NotRequestedError(FailedPreconditionError):
    """An answer lacks what a picture needs, because it was not asked for."""


class ClosedError(FailedPreconditionError):
    """The client was closed before this call."""


class ConflictError(SetwiseError):
    """Somebody else holds it or has already made it."""

    status = "ABORTED"


class DataLossError(SetwiseError):
    """Stored bytes differ from what was written."""

    status = "DATA_LOSS"


class ProofError(SetwiseError):
    """The proof of a hit does not hold for the tokens that it was checked with."""

    status = "DATA_LOSS"


class DeadlineExceededError(SetwiseError, TimeoutError):
    """The call's timeout has passed. Never retried: the timeout is the whole budget."""

    status = "DEADLINE_EXCEEDED"


class CancelledError(SetwiseError):
    """The call was cancelled."""

    status = "CANCELLED"


class ResourceExhaustedError(SetwiseError):
    """The server is full, or the call went beyond a limit of `Client.info().limits`."""

    status = "RESOURCE_EXHAUSTED"


class UnavailableError(SetwiseError, ConnectionError):
    """No server answers at the target."""

    status = "UNAVAILABLE"


class PermissionDeniedError(SetwiseError):
    """The caller, or the process, is not allowed to do this."""

    status = "PERMISSION_DENIED"


class UnauthenticatedError(SetwiseError):
    """The server does not know the caller."""

    status = "UNAUTHENTICATED"


class UnimplementedError(SetwiseError):
    """The server does not know this call; it is older than the client, or no Setwise server."""

    status = "UNIMPLEMENTED"


class InternalError(SetwiseError):
    """A fault inside the server; its log says more."""

    status = "INTERNAL"
