"""One experiment's output: a folder of figures, tables and JSON."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from setwise_engine.errors import AlreadyExists, InvalidInput
from setwise_evaluation.report._command import current_command
from setwise_evaluation.report._figures import described, png_bytes, svg_bytes
from setwise_evaluation.report._page import write_page
from setwise_evaluation.report._place import RESULTS, TIMINGS, Place, write_whole
from setwise_evaluation.report._plain import json_text, plain
from setwise_evaluation.report._provenance import sha256_of, versions
from setwise_evaluation.report._tables import cells, csv_text, markdown_text, numeric

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Output"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")


class Output:
    """What an experiment says, written to `folder` (OUT/NAME) when the `with` block ends without an error.

    folder: replaced whole, and only if all that it holds is what an earlier run wrote. experiment: its name, such as
    "translation". title: the heading of its part of the report. settings: what the run was asked for; anything JSON
    holds, and paths, of which the last part is kept. seed: the one all that is random was drawn from.

    The report shows texts, figures and tables in the order of the calls. Everything but timings.json has the same
    bytes when the same run is repeated with the same versions. After the block OUT/report.html gathers every
    experiment in OUT. Raises InvalidInput when `folder` holds anything else, and AlreadyExists while another run
    writes there; both when the block begins.
    """

    def __init__(
        self, folder: Path | str, *, experiment: str, title: str, settings: Mapping[str, Any], seed: int = 1
    ) -> None:
        self.folder = Path(folder)
        self._place = Place(self.folder)
        self._says: dict[str, Any] = {"experiment": experiment, "title": title, "seed": seed}
        self._says |= {"settings": plain(settings), "command": current_command(), "report": []}
        self._says |= {"files": {}, "inputs": {}, "results": {}}
        self._timings: dict[str, float] = {}

    def __enter__(self) -> Output:
        """Take the folder."""
        self._place.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the JSON, put the folder in its place and make the report anew; after an error do none of it."""
        if kind is not None:
            self._place.drop()
            return
        with self._place.finishing() as folder:
            write_whole(folder / TIMINGS, json_text(self._timings).encode())
            write_whole(folder / RESULTS, json_text(self._says | {"versions": versions()}).encode())
        write_page(self._place.folder.parent)

    def text(self, paragraph: str) -> None:
        """A paragraph of plain statements."""
        self._says["report"].append({"kind": "text", "text": " ".join(paragraph.split())})

    def points(self, statements: Sequence[str]) -> None:
        """A list of plain statements."""
        self._says["report"].append({"kind": "points", "points": [" ".join(one.split()) for one in statements]})

    def figure(self, name: str, figure: Figure, *, caption: str, alt: str = "") -> None:
        """Write `name`.png (150 dots an inch) and `name`.svg, and close the figure.

        alt: what the figure shows, for those who cannot see it; by default its panels' titles, axes and legends.
        """
        self._write(f"{name}.png", png_bytes(figure))
        self._write(f"{name}.svg", svg_bytes(figure))
        entry = {"kind": "figure", "name": name, "caption": caption, "alt": alt or described(figure)}
        self._says["report"].append(entry)
        figure.clear()

    def table(
        self, name: str, *, header: Sequence[str], rows: Sequence[Sequence[Any]], caption: str, in_report: bool = True
    ) -> None:
        """Write `name`.csv (every digit; an interval takes three columns) and `name`.md (three digits).

        A cell is text, a number, None, or an interval: anything with `value`, `low` and `high`. in_report: False
        writes the CSV alone, of a table too long to be read. Raises InvalidInput for a row that is longer or shorter
        than the header.
        """
        self._write(f"{name}.csv", csv_text(header, rows).encode())
        if not in_report:
            return
        self._write(f"{name}.md", f"{markdown_text(header, rows)}\n{caption}\n".encode())
        entry = {"kind": "table", "name": name, "caption": caption, "header": list(header), "cells": cells(rows)}
        self._says["report"].append(entry | {"right": numeric(rows, len(header))})

    def file(self, name: str, write: Callable[[Path], object]) -> None:
        """Have `write` make the file `name`, such as an array larger than memory, at the path that it is given."""
        path = self._new(name)
        write(path)
        self._says["files"][name] = sha256_of(path)

    def result(self, name: str, value: Any) -> None:
        """Put `value` (numbers, text, lists, mappings, arrays, intervals) into results.json; a name is given once."""
        if name in self._says["results"]:
            raise AlreadyExists(f"the result {name!r} is there already; give another name", field="name")
        self._says["results"][name] = plain(value)

    def timing(self, name: str, seconds: float) -> None:
        """Put `seconds` into timings.json; times under one name add up."""
        self._timings[name] = self._timings.get(name, 0.0) + seconds

    def input(self, name: str, path: Path | str | None = None, *, sha256: str = "") -> None:
        """Say what was read: the SHA-256 of a file, of all files in a folder, or the given one, under `name`."""
        if (path is None) == (not sha256):
            raise InvalidInput(f"give either the path or the SHA-256 of the input {name!r}", field="path")
        self._says["inputs"][plain(name)] = sha256 or sha256_of(Path(path or ""))

    def _write(self, name: str, data: bytes) -> None:
        write_whole(self._new(name), data)
        self._says["files"][name] = hashlib.sha256(data).hexdigest()

    def _new(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise InvalidInput(f"{name!r} is no name for a file; use a-z, 0-9, '-', '_' and '.'", field="name")
        if name in self._says["files"]:
            raise AlreadyExists(f"{name} is there already; give another name", field="name")
        return self._place.unfinished / name
