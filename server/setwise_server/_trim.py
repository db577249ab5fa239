"""Gives the system back what large requests took."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

__all__ = ["LARGE", "Trimmer"]

LARGE = 1 << 20
"""Bytes of a request from which on it is worth it. glibc keeps what is freed, in an arena for each thread: of two
hundred requests of 16 MB, refused, 5 GB stayed."""

PAUSE_S = 5.0  # from the first large request to the trim: it walks through all free memory, and one serves many


class Trimmer:
    """Where the C library is not glibc it does nothing. For the event loop's thread."""

    def __init__(self) -> None:
        self._trim = _malloc_trim()
        self._due = False

    def ended(self, size: int) -> None:
        """A call ended whose request had `size` bytes."""
        if size >= LARGE and self._trim is not None and not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(PAUSE_S, self._run, self._trim)

    def _run(self, trim: Callable[[int], int]) -> None:
        self._due = False
        asyncio.get_running_loop().run_in_executor(None, trim, 0)


def _malloc_trim() -> Callable[[int], int] | None:
    """`malloc_trim` of glibc. Source: malloc_trim(3)."""
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
