"""How much of what callers have sent may wait in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable

from setwise_server._call import Call

__all__ = ["Budget"]

PAUSE_S = 0.05
"""How often a waiting stream looks whether its caller is still there."""


class Budget:
    """Bytes that all streams of a server share. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held = 0
        self._changed = threading.Condition()

    def take(self, size: int, call: Call, must_wait: Callable[[], None]) -> None:
        """Take `size` bytes as soon as there is room; more than the limit only when nothing else is held.

        `must_wait` is called once when there is none at first. Raises what `call.check` raises.
        """
        if self._try(size):
            return
        must_wait()
        while not self._try(size, PAUSE_S):
            call.check()

    def give(self, size: int) -> None:
        """Give bytes back."""
        with self._changed:
            self._held -= size
            self._changed.notify_all()

    def _try(self, size: int, timeout: float = 0) -> bool:
        with self._changed:
            fits = self._changed.wait_for(lambda: not self._held or self._held + size <= self.limit, timeout)
            if fits:
                self._held += size
            return fits
