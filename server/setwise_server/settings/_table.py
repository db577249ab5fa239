"""The one table of settings: read off the dataclasses, so that none can be forgotten."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from setwise_server.settings._kinds import KINDS, Kind, quoted
from setwise_server.settings._knob import Knob, flag_of
from setwise_server.settings._server import ServerSettings

__all__ = ["SECTIONS", "SETTINGS", "Setting", "WrongError"]


class WrongError(ValueError):
    """What a value would have to be, as the end of a sentence: "it must be ..."."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: `section` is empty for those at the top; `optional` ones may be None."""

    section: str
    name: str
    kind: Kind
    optional: bool
    knob: Knob
    default: Any

    @property
    def key(self) -> str:
        """Its name in a file: section.name."""
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"SETWISE_{self.key.replace('.', '_').upper()}"

    @property
    def flag(self) -> str:
        """Its command-line option."""
        return flag_of(self.name, self.knob)

    def read(self, text: str) -> Any:
        """Its value by a text. Raises WrongError."""
        if self.optional and text == self.knob.absent:
            return None
        if self.kind.many:
            return self._checked(lambda: tuple(map(self.kind.read, text.split(","))))
        return self._checked(lambda: self.kind.read(text))

    def take(self, value: Any, folder: Path) -> Any:
        """Its value by what stands in a TOML file of this folder. Raises WrongError."""
        if self.optional and value == self.knob.absent:
            return None
        return self._checked(lambda: self.kind.take(value, folder))

    def write(self, value: Any) -> str:
        """A value of it as TOML."""
        return quoted(self.knob.absent) if value is None else self.kind.write(value)

    def must_be(self) -> str:
        """What it may be: "a whole number of at least 1, or "auto""."""
        noun = "one" if self.knob.choices else f"a list of {self.kind.noun}" if self.kind.many else self.kind.noun
        absent = f', or "{self.knob.absent}"' if self.optional else ""
        return f"{noun}{self.knob.allowed()}{absent}"

    def _checked(self, make: Callable[[], Any]) -> Any:
        try:
            value = make()
        except (ValueError, TypeError, OverflowError):
            raise WrongError(self.must_be()) from None
        if not self.knob.holds(value):
            raise WrongError(self.must_be())
        return value


def _settings_of(section: str, of: type) -> Iterator[Setting]:
    hints = get_type_hints(of)
    for field in dataclasses.fields(of):
        if "knob" in field.metadata:
            hint, optional = _plain(hints[field.name])
            yield Setting(section, field.name, KINDS[hint], optional, field.metadata["knob"], field.default)


def _plain(hint: Any) -> tuple[Any, bool]:
    """A type less its None, and whether it had one."""
    if get_origin(hint) is types.UnionType:
        return next(member for member in get_args(hint) if member is not types.NoneType), True
    return hint, False


def _sections() -> dict[str, type]:
    hints = get_type_hints(ServerSettings)
    fields = dataclasses.fields(ServerSettings)
    return {field.name: hints[field.name] for field in fields if dataclasses.is_dataclass(hints[field.name])}


SECTIONS: dict[str, type] = _sections()
SETTINGS: dict[str, Setting] = {
    setting.key: setting
    for section, of in (("", ServerSettings), *SECTIONS.items())
    for setting in _settings_of(section, of)
}
"""By key, in the order of the dataclasses."""
