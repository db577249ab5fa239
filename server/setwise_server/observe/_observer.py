"""Tells logs, metrics and traces of every call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import grpc

from setwise_server._visit import Visit
from setwise_server.observe._call_log import CallLog
from setwise_server.observe._outcome import Outcome
from setwise_server.settings import Observe

__all__ = ["Observer"]


class Observer:
    """observe: what is told. streams: paths of the rpcs that stream. For the event loop's thread."""

    def __init__(self, observe: Observe | None = None, streams: frozenset[str] = frozenset()) -> None:
        observe = observe or Observe()
        self._log = CallLog(observe.slow_ms, streams)

    @contextmanager
    def during(self, visit: Visit, metadata: Mapping[str, str | bytes]) -> Iterator[None]:
        """Around a whole call. metadata: of the call, keys in lower case."""
        yield

    def ended(self, visit: Visit, code: grpc.StatusCode, reason: str = "", message: str = "") -> None:
        """The call came to this; reason and message are empty when it went well. Called inside `during`."""
        self._log.ended(visit, Outcome(visit.elapsed(), code, reason, message))
