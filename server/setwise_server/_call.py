"""One call as the handlers see it, on the wire and in process alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.message import Message

from setwise_engine.errors import CancelledError, DeadlineError
from setwise_server._record import Record

__all__ = ["Call", "Emit", "Requests"]

MARGIN_S = 0.03, 0.5
"""Least and most seconds that a partial answer keeps for what follows the ranking."""

Emit = Callable[[Message], None]
"""Sends one reply of a stream: thread-safe, blocks while the caller reads too slowly. Raises CancelledError when the
caller has gone and ReplyTooLargeError for more than a message may hold."""

Requests = Iterator[Any]
"""The messages of a stream as they come. Ends when the caller half-closes and, with `call.draining` true, when the
server is about to stop. Raises InvalidInput for bytes that are no message, CancelledError when the caller has gone."""


class Call:
    """How long a call may still take and whether its caller is still there; a Check for the engine.

    timeout: seconds from now, or None for no deadline. Thread-safe: one thread computes, another may cancel.
    record: what the call comes to, for whoever reports it.
    cancelled: the caller has gone. draining: the server is about to stop; streams answer what they have received.
    """

    def __init__(self, timeout: float | None = None, record: Record | None = None) -> None:
        self._started = time.perf_counter()
        self._deadline = None if timeout is None else self._started + timeout
        self.record = record or Record()
        self.cancelled = False
        self.draining = False

    def cancel(self) -> None:
        """Make the next check raise: the caller has gone."""
        self.cancelled = True

    def __call__(self) -> None:
        """Raise DeadlineError or CancelledError when there is no one left to answer."""
        if self._deadline is not None and time.perf_counter() >= self._deadline:
            raise DeadlineError(
                f"the deadline passed after {self.elapsed_ms():.0f} ms; ask for fewer candidates or allow more time"
            )
        if self.cancelled:
            raise CancelledError("the caller cancelled the call")

    check = __call__

    def answer_by(self, searches: int = 1, explaining: float = 0.0) -> float | None:
        """When, as `time.perf_counter()` counts, the first of so many rankings should stop for its answer to arrive in
        time; None without a deadline. What is left after that is for the way back, a tenth of the whole time within
        MARGIN_S, and for explaining the hits, so many seconds but no more than half (docs/decisions/0117)."""
        if self._deadline is None:
            return None
        least, most = MARGIN_S
        margin = min(most, max(least, (self._deadline - self._started) / 10))
        now = time.perf_counter()
        share = max(0.0, self._deadline - margin - now) / searches
        return now + share - min(explaining, share / 2)

    def elapsed_ms(self) -> float:
        """Milliseconds since the call arrived, waiting in the queue included."""
        return (time.perf_counter() - self._started) * 1000
