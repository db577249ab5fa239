"""One call on the wire, from the door to the log: who asks for what, and what became of it."""

from __future__ import annotations

import re
import secrets
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from urllib.parse import unquote

from setwise_server._record import Record
from setwise_server.security import ANONYMOUS, Caller

__all__ = ["REQUEST_ID_KEY", "VISIT", "Visit", "request_id"]

REQUEST_ID_KEY = "x-request-id"
"""Metadata key under which a caller may name a request, and under which every answer tells its name."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


@dataclass(slots=True, eq=False)
class Visit:
    """method: path of the rpc. peer: as gRPC writes it, with its percent-encoding undone. caller: ANONYMOUS until the
    guard knows better. trace_id: of the trace that the call belongs to, in hexadecimal; empty for none."""

    method: str
    request_id: str
    peer: str
    caller: Caller = ANONYMOUS
    record: Record = field(default_factory=Record)
    started: float = field(default_factory=time.perf_counter)
    trace_id: str = ""

    def __post_init__(self) -> None:
        self.peer = unquote(self.peer)  # "ipv6:%5B::1%5D:50000" is found by nobody who looks for an address

    @property
    def rpc(self) -> str:
        """The last part of the path: no two rpcs have the same."""
        return self.method.rpartition("/")[2]

    def elapsed(self) -> float:
        """Seconds since the call arrived."""
        return time.perf_counter() - self.started


VISIT: ContextVar[Visit] = ContextVar("setwise_visit")
"""The visit of the call that the current task answers; set by the interceptor."""


def request_id(given: str | None) -> str:
    """The caller's own name of the request when it is fit for a log line, or a new one."""
    return given if given is not None and _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
