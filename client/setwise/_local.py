"""A collection's directory served inside this process: the same handlers on the same messages, without a network."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, Self

from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from setwise._errors import (
    CancelledError,
    FailedPreconditionError,
    InternalError,
    MissingExtraError,
    SetwiseError,
)
from setwise._extras import missing_extra
from setwise._request import current_request_id
from setwise._status import make_error, parse_status
from setwise._transport import Stream

__all__ = ["LocalTransport", "Server"]

_GROUP = "setwise.local"
_CODES = {"NOT_FOUND": 5, "LOCKED": 10, "CORRUPT": 15}
"""gRPC codes of the reasons for which a collection cannot be opened; any other is FAILED_PRECONDITION."""


class Server(Protocol):
    """What the entry point gives."""

    def call(
        self, method: str, request: Message, timeout: float | None, request_id: str | None
    ) -> tuple[Status, Message | None]:
        """Answer one call."""
        ...

    def stream(
        self, method: str, requests: Iterator[Message], timeout: float | None, request_id: str | None
    ) -> Generator[tuple[Status, Message | None]]:
        """Answer a streaming call: each reply with a status of code 0, at last the status of the whole with None."""
        ...

    def close(self) -> None:
        """Close the collection."""
        ...


class LocalTransport:
    """The server of one directory, opened at once so that a wrong directory is told at once.

    None for the directory: a server of the default network without any image, good for `compare` alone.
    """

    def __init__(self, directory: Path | None) -> None:
        try:
            self._server: Server = _opener()(None if directory is None else str(directory))
        except SetwiseError:
            raise
        except ModuleNotFoundError as error:
            raise missing_extra(error) or error from error
        except Exception as error:
            raise _translate(error, directory) from error

    def call(self, method: str, request: Message, reply: type[Message], timeout: float | None) -> Message:
        """As Transport.call."""
        try:
            status, answer = self._server.call(method, request, timeout, current_request_id() or None)
        except ModuleNotFoundError as error:
            raise missing_extra(error) or error from error
        if status.code:
            raise parse_status(status)
        if not isinstance(answer, reply):
            raise InternalError(f"the local server answered {method} with a {type(answer).__name__}")
        return answer

    def stream(self, method: str, requests: Iterator[Message], reply: type[Message]) -> Stream:
        """As Transport.stream."""
        return _LocalStream(self._server.stream(method, requests, None, current_request_id() or None), reply)

    def close(self) -> None:
        """As Transport.close."""
        self._server.close()


class _LocalStream:
    """The replies of a streaming call. A cancelled one ends with the next reply, or when the last request was read."""

    def __init__(self, answers: Generator[tuple[Status, Message | None]], reply: type[Message]) -> None:
        self._answers, self._reply = answers, reply
        self._cancelled = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        try:
            status, answer = next(self._answers, (Status(), None))
        except ModuleNotFoundError as error:
            raise missing_extra(error) or error from error
        if self._cancelled:
            self._answers.close()
            raise CancelledError("the call was cancelled")
        if status.code:
            raise parse_status(status)
        if answer is None:
            raise StopIteration
        if not isinstance(answer, self._reply):
            raise InternalError(f"the local server answered with a {type(answer).__name__}")
        return answer

    def cancel(self) -> None:
        """As Stream.cancel."""
        self._cancelled = True


def _opener() -> Any:
    for entry in entry_points(group=_GROUP):
        return entry.load()
    raise MissingExtraError('a directory is served by this process only with: pip install "setwise[server]"')


def _translate(error: Exception, directory: Path | None) -> SetwiseError:
    where = "the default network" if directory is None else f"the collection {directory}"
    reason = getattr(error, "reason", None)
    if isinstance(reason, str):
        return make_error(_CODES.get(reason, 9), str(error), reason=reason, field="target")
    if isinstance(error, OSError):
        return FailedPreconditionError(f"cannot open {where}: {error}", field="target")
    return InternalError(f"opening {where} failed: {error!r}", field="target")
