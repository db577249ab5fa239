"""How a metadata value stands in the catalog's typed table: a kind and something that SQLite can compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["ELEMENT", "EMPTY_LIST", "Scalar", "Stored", "flatten", "kind_of", "stored"]

Scalar = bool | int | float | str | None
Stored = int | float | str

_NULL, _BOOL, _NUMBER, _TEXT = range(4)
ELEMENT = 4
"""Added to the kind of a value that stands in a list."""
EMPTY_LIST = 8


def kind_of(value: Scalar) -> int:
    """0 null, 1 boolean, 2 number, 3 text. Integers and floats are one kind: SQLite compares them exactly."""
    match value:
        case None:
            return _NULL
        case bool():
            return _BOOL
        case str():
            return _TEXT
        case _:
            return _NUMBER


def stored(value: Scalar) -> Stored:
    """What stands for a scalar in the table; its kind tells null, false and 0 apart."""
    return 0 if value is None else int(value) if isinstance(value, bool) else value


def flatten(metadata: Mapping[str, Any]) -> Iterator[tuple[str, int, Stored]]:
    """Field, kind and value of everything in an image's metadata: a scalar once, a list once for each element."""
    for field, value in metadata.items():
        if not isinstance(value, list):
            yield field, kind_of(value), stored(value)
        elif value:
            yield from ((field, kind_of(item) + ELEMENT, stored(item)) for item in value)
        else:
            yield field, EMPTY_LIST, 0
