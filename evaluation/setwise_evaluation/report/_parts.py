"""The parts of the page: one experiment's texts, figures, tables, settings and how to repeat it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from setwise_evaluation.report._place import RESULTS, TIMINGS
from setwise_evaluation.report._plain import shown

__all__ = ["Experiment", "contents", "section"]

# An SVG stays sharp in print, but one with thousands of marks is slow to show.
_MOST_SVG = 400_000
_HASH = 16
_MOST_ROWS = 24
"""Longer tables are folded."""
_SHORT = 24
"""Letters of a cell that is never broken."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A finished run: its folder, and what its results.json says."""

    folder: Path
    says: dict[str, Any]

    @property
    def anchor(self) -> str:
        """Its place on the page."""
        return f"experiment-{self.folder.name}"


def contents(experiments: list[Experiment]) -> str:
    """Links to the experiments."""
    if len(experiments) < 2:
        return ""
    links = [f'<li><a href="#{escape(run.anchor)}">{escape(run.says["title"])}</a></li>' for run in experiments]
    return '<nav aria-label="Experiments"><ol>\n' + "\n".join(links) + "\n</ol></nav>"


def section(run: Experiment) -> str:
    """All of one experiment."""
    title = f"{run.anchor}-title"
    parts = [
        f'<section id="{escape(run.anchor)}" aria-labelledby="{escape(title)}">',
        f'<h2 id="{escape(title)}">{escape(run.says["title"])}</h2>',
        *(_entry(run, entry) for entry in run.says["report"]),
        _settings(run.says),
        _repeat(run),
        "</section>",
    ]
    return "\n".join(parts)


def _entry(run: Experiment, entry: dict[str, Any]) -> str:
    match entry["kind"]:
        case "figure":
            return _figure(run.folder, entry)
        case "table":
            return _table(run.folder, entry)
        case "points":
            return "<ul>\n" + "\n".join(f"<li>{escape(one)}</li>" for one in entry["points"]) + "\n</ul>"
        case _:
            return f"<p>{escape(entry['text'])}</p>"


def _figure(folder: Path, entry: dict[str, Any]) -> str:
    name = entry["name"]
    links = " · ".join(_link(folder, f"{name}.{kind}", kind.upper()) for kind in ("svg", "png"))
    return (
        f'<figure>\n<img src="{_embedded(folder, name)}" alt="{escape(entry["alt"])}">\n'
        f'<figcaption>{escape(entry["caption"])} <span class="files">{links}</span></figcaption>\n</figure>'
    )


def _embedded(folder: Path, name: str) -> str:
    """The picture as a data address: alone in its own document, so that no two SVGs mix their ids."""
    data, kind = (folder / f"{name}.svg").read_bytes(), "svg+xml"
    if len(data) > _MOST_SVG:
        data, kind = (folder / f"{name}.png").read_bytes(), "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _table(folder: Path, entry: dict[str, Any]) -> str:
    sides = ["right" if right else "left" for right in entry["right"]]
    head = "".join(f'<th scope="col" class="{s}">{escape(t)}</th>' for t, s in zip(entry["header"], sides, strict=True))
    rows = "\n".join(_row(row, sides) for row in entry["cells"])
    caption = escape(entry["caption"])
    link = _link(folder, entry["name"] + ".csv", "CSV, all digits")
    table = (
        f'<div class="wide" role="region" tabindex="0" aria-label="{caption}">\n<table>\n'
        f'<caption>{caption} <span class="files">{link}</span></caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>"
    )
    if len(entry["cells"]) <= _MOST_ROWS:
        return table
    return f"<details><summary>{caption} ({len(entry['cells'])} rows)</summary>\n{table}\n</details>"


def _row(cells: list[str], sides: list[str]) -> str:
    classes = [f"{side} short" if len(cell) <= _SHORT else side for cell, side in zip(cells, sides, strict=True)]
    first, *rest = zip(map(_cell, cells), classes, strict=True)
    others = "".join(f'<td class="{kind}">{cell}</td>' for cell, kind in rest)
    return f'<tr><th scope="row" class="{first[1]}">{first[0]}</th>{others}</tr>'


def _cell(text: str) -> str:
    """A cell's text; an interval in brackets stands below its value."""
    value, bracket, interval = text.partition(" [")
    if bracket and interval.endswith("]"):
        return f'{escape(value)} <span class="interval">[{escape(interval)}</span>'
    return escape(text)


def _settings(says: dict[str, Any]) -> str:
    """What was asked for, what was read, and with which versions."""
    settings = says["settings"] | {"seed": says["seed"]}
    inputs = {name: f"SHA-256 {digest[:_HASH]}…" for name, digest in sorted(says["inputs"].items())}
    parts = ["<h3>Settings</h3>", _pairs({name.replace("_", " "): _words(settings[name]) for name in settings})]
    if inputs:
        parts += ["<h3>What was read</h3>", _pairs(inputs)]
    versions = {name: str(says["versions"][name]) for name in sorted(says["versions"])}
    return "\n".join([*parts, "<details><summary>Versions</summary>", _pairs(versions), "</details>"])


def _pairs(pairs: dict[str, str]) -> str:
    lines = [f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs.items()]
    return "<dl>\n" + "\n".join(lines) + "\n</dl>"


def _words(value: Any) -> str:
    """A setting in words: lists with commas, numbers as they were given."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(_words(item) for item in value) or "none"
    return "not set" if value is None else str(value) if isinstance(value, float) else shown(value)


def _repeat(run: Experiment) -> str:
    """Where the numbers are, and the command that makes them again."""
    command = run.says["command"]
    again = f"<h3>To repeat it</h3>\n<pre><code>{escape(command)}</code></pre>" if command else "<h3>The numbers</h3>"
    results, timings = _link(run.folder, RESULTS, RESULTS), _link(run.folder, TIMINGS, TIMINGS)
    return (
        f"{again}\n<p>{results} holds every number, the settings, the versions and the SHA-256 of every file read and "
        f"written; {timings} how long the parts of the run took.</p>"
    )


def _link(folder: Path, name: str, text: str) -> str:
    return f'<a href="{escape(f"{folder.name}/{name}")}">{escape(text)}</a>'
