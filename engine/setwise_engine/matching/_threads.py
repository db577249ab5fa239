"""How many threads a caller may ask for."""

from __future__ import annotations

from setwise_engine.errors import InvalidInput

__all__ = ["checked_threads"]

_MOST = 1024  # each brings memory of its own; no machine of today gains from more


def checked_threads(threads: int) -> int:
    """The number itself. Raises InvalidInput unless it is 1 to 1024."""
    if not 1 <= threads <= _MOST:
        raise InvalidInput(f"threads is {threads}; give 1 to {_MOST}", field="threads")
    return threads
