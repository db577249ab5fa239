"""A method's exchange with the server as a generator: what to send next, given what came back.

It yields a `Call`, is sent the reply (or thrown the error), and returns the method's result. `Client` and `AsyncClient`
differ only in how they carry out a `Call`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from google.protobuf.message import Message

from setwise._errors import InternalError, SetwiseError
from setwise._limits import beyond
from setwise._values import Limits

__all__ = ["SLACK", "Call", "Done", "Steps", "advance", "ask", "check_size"]

T = TypeVar("T")
Reply = TypeVar("Reply", bound=Message)

SLACK = 1024
"""Bytes kept free in a request for the lengths and tags around its parts."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to send. fresh: its time is counted anew, because it carries work of its own. once: it must not be
    carried out twice. shared: whoever asks the same at the same time is given the same reply."""

    method: str
    request: Message
    reply: type[Message]
    fresh: bool = False
    once: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """A plan's result."""

    value: T


Steps: TypeAlias = Generator[Call, Message, T]
"""T: what the method returns."""


def advance(steps: Steps[T], reply: Message | SetwiseError | None) -> Call | Done[T]:
    """Give a plan the answer to its last call (None at its start) and get its next call or its result."""
    try:
        if isinstance(reply, SetwiseError):
            return steps.throw(reply)
        return next(steps) if reply is None else steps.send(reply)
    except StopIteration as stop:
        return Done(stop.value)


def ask(
    service: str,
    name: str,
    request: Message,
    reply: type[Reply],
    *,
    fresh: bool = False,
    once: bool = False,
    shared: bool = False,
) -> Steps[Reply]:
    answer = yield Call(f"/setwise.v1.{service}/{name}", request, reply, fresh, once, shared)
    if not isinstance(answer, reply):
        raise InternalError(f"the transport answered {name} with a {type(answer).__name__}")
    return answer


def check_size(request: Message, limits: Limits) -> None:
    size, most = request.ByteSize() + SLACK, limits.max_message_bytes
    if most and size > most:
        message = f"the request takes {size:,} bytes and the server accepts {most:,}; send fewer or smaller parts"
        raise beyond(message, "max_message_bytes", most, "query")
