"""One image a line: JSON Lines, the composed scenes' labels.jsonl among them, or CSV.

JSON Lines: `id` or `path` or both, and a list of labels, in which a label that comes n times counts n:
    {"id": "a", "labels": ["cat", "cat", "cup"]}
CSV: the columns `id` or `path` or both, and `labels`, separated by semicolons:
    id,labels
    a,cat;cat;cup
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from setwise_engine.errors import InvalidInput
from setwise_evaluation.labels._types import Labelled, LabelsFormat, Record, gathered

__all__ = ["SCENES", "read", "text_of"]

SCENES = "labels.jsonl"
"""The file in a folder of composed scenes."""

_DEFAULT_FIELDS = ("labels", "categories")


def read(source: Path, kind: str | None) -> Labelled:
    """The labels of one file. kind: the field that holds them. Raises InvalidInput, naming the line."""
    chosen = kind
    records: dict[str, Record] = {}
    for place, line in _csv(source) if source.suffix.lower() == ".csv" else _json(source):
        chosen = chosen or next((field for field in _DEFAULT_FIELDS if field in line), _DEFAULT_FIELDS[0])
        id = line.get("id") or line.get("path")
        if not isinstance(id, str):
            raise InvalidInput(f"{place} has neither `id` nor `path` as text; give one", field="labels")
        if id in records:
            raise InvalidInput(f"{place}: {id!r} came before; give every image one line", field="labels")
        records[id] = Record(str(line.get("path") or id))
        records[id].counts.update(_labels(line, chosen, place))
    return gathered(records, source, LabelsFormat.LINES, chosen or _DEFAULT_FIELDS[0])


def _labels(line: dict[str, Any], field: str, place: str) -> list[str]:
    labels = line.get(field)
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        lists = ", ".join(name for name, value in line.items() if isinstance(value, list)) or "none"
        raise InvalidInput(f"{place} has no list of texts `{field}`; its lists are: {lists}", field="labels")
    return labels


def _json(source: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, written in enumerate(text_of(source).splitlines(), start=1):
        if not written.strip():
            continue
        place = f"{source}: line {number}"
        try:
            line = json.loads(written)
        except json.JSONDecodeError as error:
            raise InvalidInput(f"{place} is no JSON: {error.msg}; repair or remove it", field="labels") from error
        if not isinstance(line, dict):
            raise InvalidInput(f"{place} is no JSON object; write id and labels", field="labels")
        yield place, line


def _csv(source: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = csv.DictReader(text_of(source).splitlines())
    if "labels" not in (rows.fieldnames or ()):
        raise InvalidInput(f"{source} has no column `labels`; its first line names the columns", field="labels")
    for row in rows:
        labels = [label.strip() for label in (row["labels"] or "").split(";") if label.strip()]
        yield f"{source}: line {rows.line_num}", {**row, "labels": labels}


def text_of(source: Path) -> str:
    """The text of a file. Raises InvalidInput when it is not UTF-8."""
    try:
        return source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{source} is not UTF-8 text; give JSON, JSON Lines or CSV", field="labels") from error
