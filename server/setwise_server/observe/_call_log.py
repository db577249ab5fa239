"""What the log tells of calls: those that failed, those that were slow, and at level debug all of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import grpc

from setwise_server._record import Record
from setwise_server._visit import Visit
from setwise_server.observe._damper import Damper
from setwise_server.observe._outcome import Outcome

__all__ = ["CallLog"]

calls = logging.getLogger("setwise.server")
slow = logging.getLogger("setwise.slow")

LINES_A_SECOND = 10  # of one method and outcome: a refusal must stay cheaper than what it refuses

_LEVELS: Mapping[grpc.StatusCode, int] = {
    grpc.StatusCode.OK: logging.DEBUG,
    grpc.StatusCode.CANCELLED: logging.INFO,
    grpc.StatusCode.INVALID_ARGUMENT: logging.INFO,
    grpc.StatusCode.NOT_FOUND: logging.INFO,
    grpc.StatusCode.ALREADY_EXISTS: logging.INFO,
    grpc.StatusCode.FAILED_PRECONDITION: logging.INFO,
    grpc.StatusCode.UNIMPLEMENTED: logging.INFO,
    grpc.StatusCode.UNAUTHENTICATED: logging.DEBUG,
    grpc.StatusCode.PERMISSION_DENIED: logging.DEBUG,
    grpc.StatusCode.INTERNAL: logging.ERROR,
    grpc.StatusCode.UNKNOWN: logging.ERROR,
    grpc.StatusCode.DATA_LOSS: logging.ERROR,
}
"""Callers' own mistakes are no trouble of the server, and refusals for want of rights are in the audit log; what is not
named here is a warning."""

_DISK = "COLLECTION_ERROR"  # it is full or refuses: to callers a precondition, to whoever runs the server trouble


class CallLog:
    """slow_ms: calls that take at least as long go to the logger `setwise.slow`, streams excepted; None for none.

    For the event loop's thread.
    """

    def __init__(self, slow_ms: int | None, streams: frozenset[str]) -> None:
        self._slow_s = float("inf") if slow_ms is None else slow_ms / 1000
        self._streams = streams
        self._damper = Damper(LINES_A_SECOND)

    def ended(self, visit: Visit, outcome: Outcome) -> None:
        """The call came to this."""
        level = logging.ERROR if outcome.reason == _DISK else _LEVELS.get(outcome.code, logging.WARNING)
        if calls.isEnabledFor(level):
            self._tell(calls, level, visit, outcome)
        if outcome.seconds >= self._slow_s and visit.method not in self._streams:
            self._tell(slow, logging.WARNING, visit, outcome)

    def _tell(self, log: logging.Logger, level: int, visit: Visit, outcome: Outcome) -> None:
        kind = (log.name, visit.method, outcome.code, outcome.reason)
        untold = 0 if level == logging.DEBUG else self._damper.let(kind)
        if untold is None:
            return
        fields = _fields(visit, outcome)
        if log is slow:
            fields |= _explained(visit.record)
        if untold:
            fields["untold"] = untold
        head = f"slow {visit.rpc}" if log is slow else visit.rpc
        text = f"{outcome.code.name}: {outcome.message}" if outcome.message else outcome.code.name
        log.log(level, "%s %s", head, text, extra={"fields": fields})


def _fields(visit: Visit, outcome: Outcome) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "request_id": visit.request_id,
        "method": visit.rpc,
        "caller": visit.caller.name,
        "peer": visit.peer,
        "code": outcome.code.name,
        "reason": outcome.reason,
        "limit": outcome.limit,
        "ms": round(outcome.seconds * 1000, 3),
        "stages": {stage: round(seconds * 1000, 3) for stage, seconds in dict(visit.record.stages).items()},
        "trace_id": visit.trace_id,
    }
    return {name: value for name, value in fields.items() if value not in ("", {})}


def _explained(record: Record) -> dict[str, Any]:
    told = {"asked": record.asked, "counts": record.counts() if record.searches else {}}
    return {name: value for name, value in told.items() if value}
