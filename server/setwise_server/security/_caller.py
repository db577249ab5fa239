"""Who calls, and how much they may."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import IntEnum

__all__ = ["ANONYMOUS", "Access", "Caller"]


class Access(IntEnum):
    """How much a caller may; each level holds those before it."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Caller:
    """name: of the key or certificate, as logs, metrics and limits know the caller. expired: the last day on which it
    worked, when that is over; None as long as it works."""

    name: str
    access: Access
    expired: date | None = None


ANONYMOUS = Caller("anonymous", Access.NONE)
"""A caller of whom nothing is known yet."""
