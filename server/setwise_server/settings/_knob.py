"""What is known of one setting besides its name, type and default."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

from setwise_engine.errors import InvalidInput

__all__ = ["Knob", "check", "flag_of", "knob"]

T = TypeVar("T")

LARGEST = 2**63  # beyond it are infinity, NaN and what no counter holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """help: one line that says what it does. least, most: bounds of a number. choices: the only texts allowed.
    absent: how None is written in files, variables and flags. flag: its command-line option where that is not its name.
    shown: what stands for the default where that depends on the machine.
    """

    help: str
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    absent: str = "none"
    flag: str = ""
    shown: str = ""

    def allowed(self) -> str:
        """The bounds or choices as the end of a sentence: " of at least 1", or nothing."""
        if self.choices:
            return " of " + ", ".join(f'"{choice}"' for choice in self.choices)
        parts = [f"at least {self.least:g}"] if self.least is not None else []
        parts += [f"at most {self.most:g}"] if self.most is not None else []
        return " of " + " and ".join(parts) if parts else ""

    def holds(self, value: object) -> bool:
        """Whether this value is within the bounds and among the choices; None always is."""
        if value is None:
            return True
        if self.choices:
            return value in self.choices
        if isinstance(value, int | float) and not isinstance(value, bool):
            return abs(value) < LARGEST and not self._beyond(value)
        return True

    def _beyond(self, value: float) -> bool:
        return (self.least is not None and value < self.least) or (self.most is not None and value > self.most)


def knob(default: T, help: str, **more: Any) -> T:
    """A field of a dataclass of settings: its default, which is immutable, and what Knob says of it."""
    made: Any = dataclasses.field(default=default, metadata={"knob": Knob(help=help, **more)})
    return made  # type: ignore[no-any-return]


def flag_of(name: str, known: Knob) -> str:
    """The command-line option of a setting: its own name, whichever section it is in."""
    return known.flag or f"--{name.replace('_', '-')}"


def check(settings: Any) -> None:
    """Hold every field of a dataclass of settings to its knob. Raises InvalidInput."""
    for field in dataclasses.fields(settings):
        known, value = field.metadata.get("knob"), getattr(settings, field.name)
        if known is not None and not known.holds(value):
            flag = flag_of(field.name, known)
            noun = "one" if known.choices else "a number"
            raise InvalidInput(f"{flag} is {value}; it must be {noun}{known.allowed()}", field=flag)
