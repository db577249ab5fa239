"""Types for the columns of a CSV file, which has none of its own."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Sequence

__all__ = ["typed_columns"]

Cell = int | float | str

# RFC 8259, section 6: so "007", "+1", "1." and "0x10" stay text.
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,18})", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_INT64 = range(-(2**63), 2**63)


def typed_columns(
    names: Sequence[str], rows: Sequence[Sequence[str]], *, text: Collection[str] = ()
) -> Iterator[dict[str, Cell]]:
    """Rows as dictionaries without their empty cells; each column one type: int, float or str.

    A column is a number's only if all its cells are, so that one "n/a" or "007" keeps the whole column text.
    text: columns that stay text whatever they hold.
    """
    kinds = [str if name in text else _kind([row[at] for row in rows]) for at, name in enumerate(names)]
    for row in rows:
        yield {name: kind(cell) for name, kind, cell in zip(names, kinds, row, strict=True) if cell}


def _kind(cells: Sequence[str]) -> Callable[[str], Cell]:
    held = [cell for cell in cells if cell]
    if all(_INTEGER.fullmatch(cell) and int(cell) in _INT64 for cell in held):
        return int
    if all(_NUMBER.fullmatch(cell) and math.isfinite(float(cell)) for cell in held):
        return float
    return str
