"""Cores that may be used, and numbers of threads that are set for a while."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["cores", "so_many"]


def cores() -> int:
    """Cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(allowed(0)) if allowed else os.cpu_count() or 1


@contextmanager
def so_many(threads: int, read: Callable[[], int], write: Callable[[int], object]) -> Iterator[None]:
    """A library's own number of threads, which `read` tells and `write` sets, as long as the context lasts.

    It is put back on errors too: libraries in one process may share it (torch and FAISS that of OpenMP).
    """
    before = read()
    write(threads)
    try:
        yield
    finally:
        write(before)
