"""What an rpc is made of: its path, its message, its handler and how that is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from google.protobuf.message import DecodeError, Message

from setwise_engine.errors import InvalidInput
from setwise_server._call import Emit, Requests

__all__ = ["Emit", "Kind", "Method", "Requests"]


class Kind(StrEnum):
    """How an rpc is answered.

    UNARY: `handle(request, call)` gives the reply; runs among the calls that compute. WAITING: the same, for calls that
    mostly wait, as for the disk: they run beside those that compute and take no place from them. STREAM:
    `handle(requests, call, emit)`, whichever of the two sides streams; a side that does not has one message.
    """

    UNARY = "unary"
    WAITING = "waiting"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Method:
    """One rpc: its path on the wire, the message it takes, what answers it, and how (see Kind)."""

    path: str
    request: type[Message]
    handle: Callable[..., Any]
    kind: Kind = Kind.UNARY

    def parse(self, data: bytes) -> Message:
        """The request in these bytes. Raises InvalidInput when they are none."""
        message = self.request()
        try:
            message.ParseFromString(data)
        except DecodeError as error:
            name = self.request.DESCRIPTOR.full_name
            raise InvalidInput(f"the {len(data)} bytes received are no {name} message") from error
        return message
