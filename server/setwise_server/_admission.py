"""How much each caller may have at once and in a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from setwise_server._errors import BusyError
from setwise_server.security import ANONYMOUS, Caller
from setwise_server.settings import ServerSettings

__all__ = ["Admission", "client_of"]

SWEEP = 4096  # callers that are remembered before those who have rested are forgotten


class Admission:
    """Counts what each caller has running. For the event loop's thread.

    The rate is kept by the generic cell rate algorithm (ITU-T I.371), the token bucket in one number a caller: the
    moment from which his bucket is full again. It holds the calls of one second, one at least.
    """

    def __init__(self, settings: ServerSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = settings.limits.max_calls_per_second
        self._most_streams = settings.limits.max_streams_per_client
        self._clock = clock
        self._rested: dict[str, float] = {}
        self._streams: dict[str, int] = {}
        self._sweep_at = SWEEP

    @contextmanager
    def enter(self, caller: Caller, peer: str, *, stream: bool) -> Iterator[None]:
        """While inside, the call counts as this caller's. Raises BusyError, which says when to come back, for a caller
        who has as much as limits allow."""
        client = client_of(caller, peer)
        if self._rate:
            self._pace(client)
        if not stream:
            yield
            return
        self._check_streams(client)
        self._streams[client] = self._streams.get(client, 0) + 1
        try:
            yield
        finally:
            self._streams[client] -= 1
            if not self._streams[client]:
                del self._streams[client]

    def _pace(self, client: str) -> None:
        now, apart = self._clock(), 1 / self._rate
        rested = max(now, self._rested.get(client, now))
        wait = rested + apart - now - max(1.0, apart)
        if wait > 1e-9:
            raise BusyError(
                f"this caller asks more than {self._rate:g} times a second; come back in {wait:.3g} s, or ask the "
                "server's owner for more (--max-calls-per-second)",
                retry_after=wait,
                limit="max_calls_per_second",
                allowed=self._rate,
            )
        self._rested[client] = rested + apart
        if len(self._rested) >= self._sweep_at:
            self._rested = {name: moment for name, moment in self._rested.items() if moment > now}
            self._sweep_at = 2 * len(self._rested) + SWEEP

    def _check_streams(self, client: str) -> None:
        if self._streams.get(client, 0) >= self._most_streams:
            raise BusyError(
                f"this caller has {self._most_streams} streams already, as many as one may have; end one first, or "
                "send more through each",
                limit="max_streams_per_client",
                allowed=self._most_streams,
            )


def client_of(caller: Caller, peer: str) -> str:
    """As whom a call counts: the name of its key or certificate, or else the address that it comes from, without the
    port. peer: as gRPC writes it, "ipv4:127.0.0.1:50000" and the like."""
    return peer.rpartition(":")[0] or peer if caller.name == ANONYMOUS.name else caller.name
