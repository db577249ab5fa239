"""The settings as TOML, each with where it comes from: what `setwise serve --print-config` prints."""

from __future__ import annotations

from collections.abc import Iterator

from setwise_server.settings._load import Loaded
from setwise_server.settings._table import SECTIONS, SETTINGS

__all__ = ["as_toml"]


def as_toml(loaded: Loaded) -> str:
    """All settings, which `load` reads back as they are; paths are absolute. Files of secrets are named, not shown."""
    return "\n".join(_lines(loaded)) + "\n"


def _lines(loaded: Loaded) -> Iterator[str]:
    yield from _section(loaded, "")
    for section in SECTIONS:
        yield ""
        yield f"[{section}]"
        yield from _section(loaded, section)


def _section(loaded: Loaded, section: str) -> Iterator[str]:
    for setting in SETTINGS.values():
        if setting.section == section:
            origin = loaded.origins[setting.key]
            yield f"{setting.name} = {setting.write(loaded.value(setting))}  # {_printable(origin)}"


def _printable(text: str) -> str:
    """A comment of TOML holds no control characters, and the name of a file may."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
