"""SIGTERM and SIGINT: the first asks the server to stop, the second ends it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from types import FrameType

__all__ = ["told_to_stop"]

NUMBERS = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger("setwise.server")


@contextmanager
def told_to_stop() -> Iterator[asyncio.Event]:
    """While inside, the first signal sets the event and the second ends the process at once, as if it had never been
    caught: what was acknowledged is on the disk, and nothing else was promised."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    told = False

    def stop(name: str) -> None:
        log.info("told to stop by %s: no further calls are taken, and those that run are waited for", name)
        event.set()

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal told
        if told:
            log.warning("told to stop a second time: ended at once, without waiting for running calls")
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        told = True
        loop.call_soon_threadsafe(stop, signal.Signals(number).name, context=Context())

    before = [signal.signal(number, handle) for number in NUMBERS]
    try:
        yield event
    finally:
        for number, handler in zip(NUMBERS, before, strict=True):
            signal.signal(number, handler)
