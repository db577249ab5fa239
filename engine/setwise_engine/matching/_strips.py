"""Work on large matrices in pieces, between which the caller may stop it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

__all__ = ["strips"]

_ENTRIES = 1 << 17  # of a piece: numpy takes milliseconds for it, and a small matrix is one piece


def strips(rows: int, columns: int, *, check: Callable[[], None], effort: int = 1) -> Iterator[slice]:
    """Slices of the rows, one after the other, each of few enough entries; `check` is called before all but the first.

    effort: how many times as long as an addition each entry takes.
    """
    step = max(1, _ENTRIES // max(1, columns * effort))
    for first in range(0, rows, step):
        if first:
            check()
        yield slice(first, min(first + step, rows))
