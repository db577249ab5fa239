"""What a request is called in the server's logs, metrics and traces."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from setwise._errors import InvalidArgumentError

__all__ = ["REQUEST_ID_KEY", "current_request_id", "numbered", "request_id"]

REQUEST_ID_KEY = "x-request-id"
"""Metadata key under which it travels, both ways."""

_FIT = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_NAME: ContextVar[str] = ContextVar("setwise_request_id", default="")


@contextmanager
def request_id(name: str) -> Iterator[None]:
    """Name the requests that are made inside, so that a server's log tells whose they were.

        with setwise.request_id("order-4711"):
            hits = client.search("photo.jpg")

    name: 1 to 128 of the characters A-Z a-z 0-9 . _ : / + = -. Every call made inside, by any client, has this name;
    outside each gets one of its own, which `SetwiseError.request_id` tells. Holds for the thread or task that entered.
    Raises InvalidArgumentError.
    """
    if not isinstance(name, str) or not _FIT.fullmatch(name):
        what = "give 1 to 128 letters, digits or any of . _ : / + = -"
        raise InvalidArgumentError(f"the request id is {name!r}; {what}", field="name")
    before = _NAME.set(name)
    try:
        yield
    finally:
        _NAME.reset(before)


@contextmanager
def numbered() -> Iterator[None]:
    """While inside, there is a request id: the caller's own, or a new one."""
    if _NAME.get():
        yield
        return
    before = _NAME.set(secrets.token_hex(8))
    try:
        yield
    finally:
        _NAME.reset(before)


def current_request_id() -> str:
    """The name of the request that is being made; empty outside of one."""
    return _NAME.get()
