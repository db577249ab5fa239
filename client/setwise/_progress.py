"""How far it has come, for people: one line of a terminal that is written over, or a line now and then in a file."""

from __future__ import annotations

import time
from typing import TextIO

from setwise._reports import Progress

__all__ = ["ProgressLine"]

_EVERY = 0.2
"""Seconds between two lines on a terminal."""
_SELDOM = 30.0
"""The same in a file."""


class ProgressLine:
    """Writes a line now and then, and the last one always."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._next = time.monotonic() + (0.0 if self._is_terminal else _SELDOM)

    def __call__(self, progress: Progress) -> None:
        """Tell it, when it is time."""
        now = time.monotonic()
        if now < self._next and not _is_last(progress):
            return
        self._next = now + (_EVERY if self._is_terminal else _SELDOM)
        end = "\n" if not self._is_terminal or _is_last(progress) else ""
        start = "\r\x1b[K" if self._is_terminal else ""
        print(f"{start}{_words(progress)}", end=end, file=self._stream, flush=True)


def _is_last(progress: Progress) -> bool:
    return progress.total is not None and max(progress.done + progress.failed, _received(progress)) >= progress.total


def _received(progress: Progress) -> int:
    """Bytes of a download; 0 in an upsert."""
    return 0 if progress.done or progress.failed else progress.bytes


def _words(progress: Progress) -> str:
    rate = progress.bytes / 1e6 / max(progress.seconds, 1e-3)
    amount = f"{progress.bytes / 1e6:,.1f} MB, {rate:,.1f} MB/s"
    if not progress.done and not progress.failed:
        of = f" of {progress.total / 1e6:,.1f} MB" if progress.total else ""
        return f"{progress.bytes / 1e6:,.1f} MB{of}, {rate:,.1f} MB/s"
    of = f" of {progress.total:,}" if progress.total is not None else ""
    failed = f", {progress.failed:,} failed" if progress.failed else ""
    return f"{progress.done + progress.failed:,}{of} images{failed}, {amount}"
