"""When to ask again, and how long to wait before: full jitter inside the caller's own time budget.

Every call of this client reads, so asking twice does no harm. Only UNAVAILABLE, and RESOURCE_EXHAUSTED from a server
that says when to come back, are worth it; a passed deadline never is.
Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass

from setwise._errors import SetwiseError

__all__ = ["Budget", "Retries"]


@dataclass(frozen=True, slots=True)
class Retries:
    """most: further attempts after the first. first, longest: seconds that bound the waits; each bound doubles."""

    most: int = 4
    first: float = 0.1
    longest: float = 5.0

    def wait(self, error: SetwiseError, attempt: int, remaining: float) -> float | None:
        """Seconds to wait after the failed attempt (0, 1, ...), or None to give up.

        A wait that the server asked for is kept and jitter is added to it, so that callers do not return all at once.
        """
        # A server that is loading answers, and will be ready: it is waited for as long as the caller has time.
        if not error.retriable or (attempt >= self.most and not (self.most and error.reason == "NOT_READY")):
            return None
        pause = random.uniform(0, min(self.longest, self.first * 2.0 ** min(attempt, 16))) + (error.retry_after or 0.0)
        return pause if pause < remaining else None


class Budget:
    """The time that a call and its retries may take together; None for no limit."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """Start counting anew."""
        self._end = math.inf if self._seconds is None else time.monotonic() + self._seconds

    def remaining(self) -> float:
        """Seconds left, infinite without a limit; a little above 0 when none are, so that gRPC reports the deadline."""
        return max(self._end - time.monotonic(), 0.001)

    def timeout(self) -> float | None:
        """Seconds left as a gRPC timeout."""
        return None if self._seconds is None else self.remaining()
