"""The log of who was refused and who wrote, under the name `setwise.audit`."""

from __future__ import annotations

import logging
from typing import Any

import grpc

from setwise_server._visit import Visit
from setwise_server.observe._damper import Damper
from setwise_server.security._caller import Access
from setwise_server.security._rules import RULES

__all__ = ["LINES_A_SECOND", "Audit"]

log = logging.getLogger("setwise.audit")
log.setLevel(logging.INFO)  # whatever the level of the rest: who asks for less noise still wants to know who wrote

LINES_A_SECOND = 10  # of refusals: a flood of them must not fill the disk; each write has its line
_REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


class Audit:
    """One line for each refusal for want of rights and for each write. For the event loop's thread."""

    def __init__(self) -> None:
        self._damper = Damper(LINES_A_SECOND)

    def ended(self, visit: Visit, code: grpc.StatusCode, reason: str = "") -> None:
        """The call came to this."""
        if code in _REFUSED:
            self._refused(visit, code, reason)
        elif RULES.get(visit.method, Access.ADMIN) >= Access.WRITE:
            what = "done" if code is grpc.StatusCode.OK else "failed"
            fields = _fields(visit, code, reason) | {"asked": visit.record.asked}
            log.info("%s %s", visit.rpc, what, extra={"fields": fields})

    def _refused(self, visit: Visit, code: grpc.StatusCode, reason: str) -> None:
        untold = self._damper.let("refused")
        if untold is None:
            return
        fields = _fields(visit, code, reason) | ({"untold": untold} if untold else {})
        log.warning("%s refused", visit.rpc, extra={"fields": fields})


def _fields(visit: Visit, code: grpc.StatusCode, reason: str) -> dict[str, Any]:
    told = {
        "request_id": visit.request_id,
        "method": visit.rpc,
        "caller": visit.caller.name,
        "peer": visit.peer,
        "code": code.name,
        "reason": reason,
    }
    return {name: value for name, value in told.items() if value}
