"""Which command a run was, for whoever wants to run it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

__all__ = ["current_command", "made_by"]

_COMMAND: ContextVar[str] = ContextVar("command", default="")


@contextmanager
def made_by(words: Sequence[str]) -> Iterator[None]:
    """Every `Output` begun inside says that `words`, a command line, made it.

    Absolute paths are cut to their last part: a report tells nothing of the machine that wrote it.
    """
    token = _COMMAND.set(shlex.join(_plain(word) for word in words))
    try:
        yield
    finally:
        _COMMAND.reset(token)


def current_command() -> str:
    """The command line of the innermost `made_by`, or "" outside of any."""
    return _COMMAND.get()


def _plain(word: str) -> str:
    option, equals, value = word.partition("=")
    if equals and Path(value).is_absolute():
        return f"{option}={Path(value).name}"
    return Path(word).name if Path(word).is_absolute() else word
