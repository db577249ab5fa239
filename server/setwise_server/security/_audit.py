"""The log of who was refused and who wrote, under the name `setwise.audit`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import grpc

from setwise_server._visit import Visit
from setwise_server.security._caller import Access
from setwise_server.security._rules import RULES

__all__ = ["Audit"]

log = logging.getLogger("setwise.audit")

_REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
_LINES = 20  # refusals that are logged one by one within _WINDOW_S seconds; a flood of them must not fill the disk
_WINDOW_S = 10.0


class Audit:
    """One line for each refusal and each write. For the event loop's thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._window = 0.0
        self._in_window = 0

    def ended(self, visit: Visit, code: grpc.StatusCode, reason: str = "") -> None:
        """The call came to this."""
        if code in _REFUSED:
            if self._may_tell():
                _tell(logging.WARNING, "refused", visit, code, reason)
        elif RULES.get(visit.method, Access.ADMIN) >= Access.WRITE:
            _tell(logging.INFO, "wrote" if code is grpc.StatusCode.OK else "failed to write", visit, code, reason)

    def _may_tell(self) -> bool:
        now = self._clock()
        if now >= self._window + _WINDOW_S:
            if self._in_window > _LINES:
                log.warning("%d more calls were refused in those %.0f s", self._in_window - _LINES, _WINDOW_S)
            self._window, self._in_window = now, 0
        self._in_window += 1
        return self._in_window <= _LINES


def _tell(level: int, what: str, visit: Visit, code: grpc.StatusCode, reason: str) -> None:
    told = {
        "caller": visit.caller.name,
        "method": visit.rpc,
        "request_id": visit.request_id,
        "peer": visit.peer,
        "code": code.name,
        "reason": reason,
    }
    log.log(level, what, extra={"fields": {name: value for name, value in told.items() if value}})
