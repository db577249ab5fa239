"""Spans of OpenTelemetry for the calls of a client, and their context for the server's; nothing where the program uses
no OpenTelemetry.

Nobody can read spans who has not imported OpenTelemetry, so it is looked for among the imported modules: whoever does
not use it neither needs it nor waits for its import. Names are those of its conventions for RPC.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

from setwise._errors import SetwiseError
from setwise._request import current_request_id
from setwise._status import CODES

__all__ = ["TRACE_BYTES", "ClientSpan", "client_span", "trace_headers"]

TRACE_BYTES = 2048
"""What a propagator may add to a call; with more only `traceparent` is sent."""

_NAME = "setwise"
_FIT = re.compile(r"[\x20-\x7e]+")


class ClientSpan:
    """What is told of a call and its attempts. span: OpenTelemetry's; None where it is not used."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def failed(self, error: SetwiseError, pause: float | None = None) -> None:
        """An attempt failed, and after so many seconds there will be another; None: the call failed for good."""
        if self._span is None:
            return
        facts = {"rpc.grpc.status_code": _number(error), "error.type": error.reason}
        if pause is not None:
            self._span.add_event("setwise.retry", facts | {"setwise.pause_s": pause})
            return
        from opentelemetry.trace import Status, StatusCode

        self._span.set_status(Status(StatusCode.ERROR, error.message))
        self._span.set_attributes(facts)


@contextmanager
def client_span(method: str, target: str) -> Iterator[ClientSpan]:
    """Around all attempts of one call. method: "/package.Service/Method". A SetwiseError that passes is told."""
    if "opentelemetry.trace" not in sys.modules:
        yield ClientSpan()
        return
    from opentelemetry.trace import SpanKind

    service, _, name = method.removeprefix("/").partition("/")
    facts = {
        "rpc.system": "grpc",
        "rpc.service": service,
        "rpc.method": name,
        "server.address": target,
        "setwise.request_id": current_request_id(),
    }
    opened = _tracer().start_as_current_span(
        f"{service}/{name}",
        kind=SpanKind.CLIENT,
        attributes=facts,
        record_exception=False,
        set_status_on_exception=False,
    )
    with opened as span:
        told = ClientSpan(span)
        try:
            yield told
        except SetwiseError as error:
            told.failed(error)
            raise


@cache
def _tracer() -> Any:
    """Asked for once, as OpenTelemetry means it: it hands on to the provider that the program sets, also later."""
    from opentelemetry.trace import get_tracer

    return get_tracer(_NAME, version("setwise"))


def trace_headers() -> tuple[tuple[str, str], ...]:
    """What carries the current span to the server: `traceparent` (W3C Trace Context), and what else the program's
    propagator writes."""
    if "opentelemetry.trace" not in sys.modules:
        return ()
    from opentelemetry.propagate import inject

    carrier: dict[str, str] = {}
    inject(carrier)
    headers = [(name.lower(), value) for name, value in carrier.items() if _FIT.fullmatch(name + value)]
    if sum(len(name) + len(value) for name, value in headers) > TRACE_BYTES:
        headers = [pair for pair in headers if pair[0] == "traceparent"]
    return tuple(headers)


def _number(error: SetwiseError) -> int:
    return next((number for number, (name, _) in CODES.items() if name == error.code), 2)
