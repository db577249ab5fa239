"""Tables: CSV for machines, at full precision; Markdown for people, three digits."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from setwise_engine.errors import InvalidInput
from setwise_evaluation.report._plain import Interval, shown

__all__ = ["cells", "csv_text", "markdown_text", "numeric"]

Rows = Sequence[Sequence[Any]]


def csv_text(header: Sequence[str], rows: Rows) -> str:
    r"""The table with '\n' between lines and every digit; a column with intervals becomes three: x, x low, x high.

    Raises InvalidInput when a row has not as many cells as the header.
    """
    _check(header, rows)
    wide = [any(isinstance(row[column], Interval) for row in rows) for column in range(len(header))]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    ends = [("", " low", " high") if three else ("",) for three in wide]
    writer.writerow([name + end for name, three in zip(header, ends, strict=True) for end in three])
    for row in rows:
        writer.writerow([part for cell, three in zip(row, wide, strict=True) for part in _parts(cell, three)])
    return out.getvalue()


def markdown_text(header: Sequence[str], rows: Rows) -> str:
    """The table as Markdown, numbers to the right."""
    lines = [header, ["--:" if right else "---" for right in numeric(rows, len(header))], *cells(rows)]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def cells(rows: Rows) -> list[list[str]]:
    """Every cell as people read it."""
    return [[shown(cell) for cell in row] for row in rows]


def numeric(rows: Rows, columns: int) -> list[bool]:
    """Which columns hold numbers and so stand to the right."""
    kinds = (int, float, np.generic, Interval, type(None))
    return [bool(rows) and all(isinstance(row[column], kinds) for row in rows) for column in range(columns)]


def _parts(cell: Any, three: bool) -> tuple[Any, ...]:
    if isinstance(cell, Interval):
        return (_full(cell.value), _full(cell.low), _full(cell.high))
    return (_full(cell), "", "") if three else (_full(cell),)


def _full(cell: Any) -> Any:
    """The shortest text that reads back as the same number."""
    value = cell.item() if isinstance(cell, np.generic) else cell
    return "" if value is None else repr(value) if isinstance(value, float) else value


def _check(header: Sequence[str], rows: Rows) -> None:
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise InvalidInput(
                f"row {number} has {len(row)} cells and the header {len(header)}; give each row as many", field="rows"
            )
