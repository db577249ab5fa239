"""Manifests: a CSV or JSONL file of paths, ids and metadata."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from setwise_engine.collection import check_metadata
from setwise_engine.errors import EngineError, InvalidInput, NotFound
from setwise_indexer._columns import typed_columns
from setwise_indexer._items import Item, Listing, plain_path, printable, refuse_duplicates

__all__ = ["read_manifest"]

Row = tuple[int, dict[str, Any]]  # line number, what stands there


def read_manifest(file: str, *, keyed: bool = False) -> Listing:
    """Read a manifest: column `path` (relative to the manifest's folder), optional `id`, the rest metadata.

    JSONL keeps its types. In CSV a column whose every cell is a JSON number becomes numbers, others stay text; an
    empty cell says nothing. keyed (ready-made sets): column `key` names one set of a file of many.
    Raises NotFound, or InvalidInput naming file and line.
    """
    path = Path(file)
    readers = {".csv": _read_csv, ".jsonl": _read_jsonl, ".ndjson": _read_jsonl}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InvalidInput(f"{file} is no manifest by its name; end it in .csv or .jsonl", field="manifest")
    items = [_item(path, line, row, keyed=keyed) for line, row in reader(path, _text(path))]
    if not items:
        raise InvalidInput(f"{file} lists no images; give one row an image", field="manifest")
    items.sort(key=lambda item: item.id.encode())
    if not keyed:
        refuse_duplicates(items)
    return Listing(items)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise NotFound(f"no such manifest: {path}; check the path", field="manifest") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8", field="manifest") from None


def _read_csv(path: Path, text: str) -> Iterator[Row]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[int] = []
    cells: list[list[str]] = []
    try:
        names = next(rows, [])
        _check_header(path, names)
        for row in rows:
            if row:
                if len(row) != len(names):
                    _refuse(path, rows.line_num, f"has {len(row)} fields, the header has {len(names)}")
                lines.append(rows.line_num)
                cells.append(row)
    except csv.Error as error:
        _refuse(path, rows.line_num, f"is no CSV: {error}")
    yield from zip(lines, typed_columns(names, cells, text={"path", "id", "key"}), strict=True)


def _check_header(path: Path, names: list[str]) -> None:
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        _refuse(path, 1, f"names a column twice: {', '.join(doubled)}")
    if "path" not in names:
        _refuse(path, 1, f"has no column 'path', only {', '.join(names) or 'nothing'}")


def _read_jsonl(path: Path, text: str) -> Iterator[Row]:
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content, object_pairs_hook=_once, parse_constant=_no_constant)
        except ValueError as error:
            _refuse(path, line, f"is no JSON object: {error}")
        if not isinstance(row, dict):
            _refuse(path, line, f"is no JSON object but {type(row).__name__}")
        yield line, row


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("a name stands in it twice")
    return row


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _item(manifest: Path, line: int, row: dict[str, Any], *, keyed: bool) -> Item:
    path = _taken(manifest, line, row, "path")
    if not path:
        _refuse(manifest, line, "has no 'path'")
    key = _taken(manifest, line, row, "key") if keyed else ""
    folder = plain_path(manifest.parent)
    absolute = plain_path(folder / path)
    identity = _taken(manifest, line, row, "id") or _default_id(absolute, folder) + (f"/{key}" if key else "")
    origin = f"{manifest} line {line}"
    try:
        check_metadata(row, path)
    except EngineError as error:
        raise InvalidInput(f"{origin}: {error}", field="manifest") from None
    return Item(identity, str(absolute), row, key, origin=origin)


def _default_id(path: Path, folder: Path) -> str:
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def _taken(manifest: Path, line: int, row: dict[str, Any], name: str) -> str:
    value = row.pop(name, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        _refuse(manifest, line, f"has {name!r} = {value!r}; give text")
    if "\0" in value or value != printable(value):
        _refuse(manifest, line, f"has characters in {name!r} that no path or id may hold: {value!r}")
    return value


def _refuse(path: Path, line: int, what: str) -> NoReturn:
    raise InvalidInput(f"{path} line {line} {what}; mend the manifest, nothing was indexed", field="manifest")
