"""Aligned columns for terminals and for reprs."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence

__all__ = ["elide", "printable", "table"]


def printable(text: str) -> str:
    """The text with control characters spelled out: a file's name must not be able to steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def elide(text: str, most: int) -> str:
    """The text in at most `most` characters: the middle gives way, because both ends tell files apart."""
    if len(text) <= most:
        return text
    tail = (most - 1) * 2 // 3
    return text[: most - 1 - tail] + "…" + text[len(text) - tail :]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = (), most: int = 60) -> list[str]:
    """Lines with aligned columns; columns in `right` are flush right, cells longer than `most` are elided."""
    cells = [[elide(printable(cell), most) for cell in row] for row in [head, *rows]]
    widths = [max(_width(cell) for cell in column) for column in zip(*cells, strict=True)]
    return ["  ".join(_pad(cell, widths[i], i in right) for i, cell in enumerate(row)).rstrip() for row in cells]


def _width(text: str) -> int:
    """Columns of a terminal: East Asian characters take two, combining marks none."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) != 0 for c in text)


def _pad(text: str, width: int, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space
