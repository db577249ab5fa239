"""When to ask again, and how long to wait before: full jitter inside the caller's own time budget.

Only UNAVAILABLE, and RESOURCE_EXHAUSTED from a server that says when to come back, are worth it; a passed deadline
never is. Asking twice does no harm: reads change nothing, and storing, changing and deleting images leave the same
behind when they are done twice (docs/decisions/0095 tells what the second answer may then say). Calls that do not, such
as making a collection, are asked again only when the server itself refused the first time, so that nothing was done.
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

    def wait(self, error: SetwiseError, attempt: int, remaining: float, once: bool = False) -> float | None:
        """Seconds to wait after the failed attempt (0, 1, ...), or None to give up. once: a call that is not to be done
        twice, so that only a refusal, which has a reason of the server's own, is worth another attempt.

        A wait that the server asked for is kept and jitter is added to it, so that callers do not return all at once.
        """
        if once and error.reason == error.code:
            return None
        if not error.retriable or (attempt >= self.most and not (self.most and _will_pass(error))):
            return None
        pause = random.uniform(0, min(self.longest, self.first * 2.0 ** min(attempt, 16))) + (error.retry_after or 0.0)
        return pause if pause < remaining else None


def _will_pass(error: SetwiseError) -> bool:
    """Whether asking again is bound to help, so that it goes on as long as the caller has time: a server that is
    loading answers, and will be ready; and a turn comes for one who only asked too often."""
    return error.reason == "NOT_READY" or error.details.get("limit") == "max_calls_per_second"


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
