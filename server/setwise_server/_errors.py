"""What a server refuses beyond what the engine refuses, and where in a request the fault lies.

EngineError
├── InvalidInput
│   └── LimitError     more than one call may ask for                       INVALID_ARGUMENT
├── ReplyTooLargeError      the answer would not fit in a message                RESOURCE_EXHAUSTED
├── BusyError               the queue is full, or the caller has his share; try again  RESOURCE_EXHAUSTED
├── UnauthenticatedError    no key, or none that is known                        UNAUTHENTICATED
├── ForbiddenError          the key does not allow this                          PERMISSION_DENIED
├── NotReadyError           loading or draining; try again                       UNAVAILABLE
├── PortError          the address cannot be listened on                    (start-up only)
└── UnknownMethodError      no such rpc                                          UNIMPLEMENTED
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from setwise_engine.errors import EngineError, Incompatible, InvalidInput, NotFound

__all__ = [
    "BusyError",
    "ForbiddenError",
    "LimitError",
    "NotReadyError",
    "PortError",
    "ReplyTooLargeError",
    "UnauthenticatedError",
    "UnknownMethodError",
    "at",
]


class LimitError(InvalidInput):
    """More than one call may ask for; `limit` names the field of Limits and `allowed` is its value."""

    reason = "LIMIT_EXCEEDED"

    def __init__(self, message: str, *, field: str, limit: str, allowed: int) -> None:
        super().__init__(message, field=field)
        self.info = {"limit": limit, "allowed": str(allowed)}


class ReplyTooLargeError(EngineError):
    """The answer would not fit in one message."""

    reason = "REPLY_TOO_LARGE"


class BusyError(EngineError):
    """The queue is full, or the caller has as much as he may; `retry_after` in seconds says when to come back, `limit`
    names the field of Limits and `allowed` is its value."""

    reason = "SERVER_BUSY"

    def __init__(
        self, message: str, *, field: str = "", retry_after: float = 1.0, limit: str = "", allowed: float = 0
    ) -> None:
        super().__init__(message, field=field)
        self.retry_after = retry_after
        self.info = {"limit": limit, "allowed": f"{allowed:.15g}"} if limit else {}


class UnauthenticatedError(EngineError):
    """The caller gave no key or certificate, or none that is known here."""

    reason = "UNAUTHENTICATED"


class ForbiddenError(EngineError):
    """The caller is known and may not do this."""

    reason = "FORBIDDEN"


class NotReadyError(EngineError):
    """The server is still loading, or is about to stop."""

    reason = "NOT_READY"


class PortError(EngineError):
    """The server cannot listen on the address it was given."""

    reason = "PORT_UNAVAILABLE"


class UnknownMethodError(EngineError):
    """No rpc of that name."""

    reason = "UNKNOWN_METHOD"


@contextmanager
def at(path: str) -> Iterator[None]:
    """Say where in the request a caller's mistake lies: prefixes the field of what is raised inside with `path`."""
    try:
        yield
    except (InvalidInput, NotFound, Incompatible) as error:
        last = path.rpartition(".")[2]
        error.field = path if error.field in ("", last) else f"{path}.{error.field}"
        raise
