"""setwise evaluate: the paper's experiments, each loaded only when it is asked for."""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from setwise_evaluation._threads import cores

__all__ = ["EXPERIMENTS", "HELP", "main"]

HELP = "repeat the paper's experiments: figures, tables and a report"

_PROGRAM = "setwise evaluate"

EXPERIMENTS = ("translation", "retrieval", "probabilities", "matchers", "recall", "report")
"""The modules of `setwise_evaluation.experiments` that can be run, in the order of the report."""


def main(words: Sequence[str]) -> int:
    """Run `setwise evaluate WORDS` and give its exit code: 0, or 2 for wrong usage; other errors are raised."""
    if not words or words[0] in ("-h", "--help"):
        print(_overview(), file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    name, *rest = words
    if name not in EXPERIMENTS:
        print(f"{_PROGRAM}: error: {_unknown(name)}", file=sys.stderr)
        return 2
    module = importlib.import_module(f"setwise_evaluation.experiments.{name}")
    parser = argparse.ArgumentParser(prog=f"{_PROGRAM} {name}", description=module.HELP, allow_abbrev=False)
    _configure(parser, measures=name != "report")
    module.configure(parser)
    args = parser.parse_args(rest)

    from setwise_evaluation.report import made_by

    with made_by(["setwise", "evaluate", *words]):
        return int(module.run(args))


def _configure(parser: argparse.ArgumentParser, *, measures: bool) -> None:
    """What every experiment understands, and what only those that measure something do."""
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="folder for figures, tables, JSON and report.html")
    if not measures:
        return
    add("--seed", type=int, default=1, metavar="N", help="all that is random follows from it (default 1)")
    add("--threads", type=int, default=cores(), metavar="N", help="threads (default: one a core)")


def _overview() -> str:
    width = max(map(len, EXPERIMENTS))
    lines = [f"  {name:<{width}}  {_help(name)}" for name in EXPERIMENTS]
    return "\n".join(
        [
            f"usage: {_PROGRAM} EXPERIMENT --out DIR ...",
            "",
            "Figures (PNG, SVG), tables (CSV, Markdown) and a JSON go to DIR/EXPERIMENT; DIR/report.html gathers all.",
            "",
            *lines,
            "",
            f"`{_PROGRAM} EXPERIMENT --help` tells more.",
        ]
    )


def _help(name: str) -> str:
    """An experiment's HELP, read from its source: importing it may take seconds."""
    spec = importlib.util.find_spec(f"setwise_evaluation.experiments.{name}")
    source = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "HELP":
            return str(ast.literal_eval(node.value))
    return ""


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, EXPERIMENTS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(EXPERIMENTS)}"
    return f"no experiment {name!r}; {hint}"
