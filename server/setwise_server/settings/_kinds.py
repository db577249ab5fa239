"""The types that settings have, and how each is read from a text, taken from TOML and written as TOML."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from setwise_server.settings._offer import Offer

__all__ = ["KINDS", "Kind", "quoted"]

TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


@dataclass(frozen=True, slots=True)
class Kind:
    """noun: "a whole number". metavar: what stands for it in a help text.

    read: from a text, as in variables and flags. take: from a TOML value in a file of this folder, against which its
    paths are taken. Both raise ValueError, whose text is of no use to people. write: as TOML.
    many: the value is a tuple, of which `read` makes one member: a flag gives one, a variable any with commas between.
    """

    noun: str
    metavar: str
    read: Callable[[str], Any]
    take: Callable[[Any, Path], Any]
    write: Callable[[Any], str]
    many: bool = False


def quoted(text: str) -> str:
    """A TOML basic string. JSON's escapes are TOML's, but for DEL, which TOML wants escaped and JSON does not."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _switch(text: str) -> bool:
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise ValueError(text)


def _exactly(*kinds: type) -> Callable[[Any, Path], Any]:
    def take(value: Any, folder: Path) -> Any:
        if type(value) not in kinds:
            raise ValueError(value)
        return kinds[0](value)

    return take


def _path(value: Any, folder: Path) -> Path:
    return folder / _text(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(value)
    return value


def _offers(value: Any, folder: Path) -> tuple[Offer, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError(value)
    return tuple(Offer.parse(_text(member)) for member in value)


def _pair(text: str) -> tuple[str, str]:
    model, _, path = text.partition("=")
    return _text(model), _text(path)


def _files(value: Any, folder: Path) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise ValueError(value)
    return tuple((_text(model), str(_path(path, folder))) for model, path in value.items())


def _absolute(path: str | Path) -> str:
    return quoted(str(Path(path).absolute()))


def _table(pairs: tuple[tuple[str, str], ...]) -> str:
    return "{ " + ", ".join(f"{quoted(model)} = {_absolute(path)}" for model, path in pairs) + " }" if pairs else "{}"


KINDS: dict[Any, Kind] = {
    bool: Kind("true or false", "true|false", _switch, _exactly(bool), lambda value: str(value).lower()),
    int: Kind("a whole number", "N", int, _exactly(int), str),
    float: Kind("a number", "N", float, _exactly(float, int), repr),
    str: Kind("a text", "TEXT", _text, lambda value, folder: _text(value), quoted),
    Path: Kind("a path", "PATH", lambda text: Path(_text(text)), _path, _absolute),
    tuple[Offer, ...]: Kind(
        "NAME or NAME@PX with a positive number of pixels",
        "NAME[@PX]",
        lambda text: Offer.parse(_text(text)),
        _offers,
        lambda offers: f"[{', '.join(quoted(str(offer)) for offer in offers)}]",
        many=True,
    ),
    tuple[tuple[str, str], ...]: Kind("MODEL=FILE", "MODEL=FILE", _pair, _files, _table, many=True),
}
"""By the annotation of a field, less its None."""
