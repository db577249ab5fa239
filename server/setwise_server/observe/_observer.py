"""Tells logs, metrics and traces of every call."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import grpc

from setwise_server._visit import Visit

__all__ = ["Observer"]

log = logging.getLogger("setwise.server")


class Observer:
    """For the event loop's thread."""

    @contextmanager
    def during(self, visit: Visit, metadata: Mapping[str, str | bytes]) -> Iterator[None]:
        """Around a whole call. metadata: of the call, keys in lower case."""
        yield

    def ended(self, visit: Visit, code: grpc.StatusCode, reason: str = "", message: str = "") -> None:
        """The call came to this; reason and message are empty when it went well. Called inside `during`."""
        if code is grpc.StatusCode.OK:
            return
        level = logging.INFO if code is grpc.StatusCode.CANCELLED else logging.WARNING
        elapsed = visit.elapsed() * 1000
        log.log(level, "%s %s %s after %.0f ms: %s", visit.method, code.name, reason, elapsed, message)
