"""`setwise add`: store image files in a collection, over the wire or in a directory."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from setwise.commands._connection import configure_connection, connect

if TYPE_CHECKING:
    from setwise import Failure

__all__ = ["HELP", "configure", "parse_field", "run"]

HELP = "store images in a collection, also while it serves"

_DESCRIPTION = """
Stores image files, and returns once they are on disk for good. What is stored already is left as it is, so that the
same command may be repeated; with --metadata it gets exactly that metadata. Ids are the paths inside the folders, as in
`setwise index`, which also keeps the files' paths: `setwise reindex` builds anew only what was stored by that command.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = _DESCRIPTION
    add = parser.add_argument
    add("target", metavar="TARGET", help="host:port of a server, or a collection's directory")
    add("sources", metavar="FILE", nargs="+", help="image files, and folders (searched recursively)")
    add("--prefix", default="", metavar="TEXT", help="put before every id, for example holiday/")
    add(
        "--metadata",
        type=parse_field,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="for all of them; JSON or text",
    )
    add(
        "--mode",
        choices=("upsert", "insert", "update"),
        default="upsert",
        help="insert: only new ids; update: only known",
    )
    add("--json", action="store_true", help="print the report as JSON")
    configure_connection(parser, "seconds that the next answer may take")


def run(args: argparse.Namespace) -> int:
    """Store, and say what became of them; 1 when an image failed."""
    import setwise
    from setwise._files import list_files

    names = [name for name, _ in args.metadata]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        what = f'--metadata {twice} is given twice; give several values as a list, such as {twice}=["a", "b"]'
        raise setwise.InvalidArgumentError(what, field="--metadata")
    metadata = dict(args.metadata) or None
    files = list_files(args.sources, args.prefix)
    items = [setwise.Item(id, path, metadata) for id, path in files]
    with connect(args) as client:
        report = client.upsert(items, mode=args.mode, on_error=_tell, progress=sys.stderr.isatty())
    print(json.dumps(report.to_dict()) if args.json else report.summary())
    return 1 if report.failed else 0


def parse_field(text: str) -> tuple[str, Any]:
    """NAME=VALUE from the command line: a JSON value, or text as it is. Raises ArgumentTypeError."""
    name, sign, value = text.partition("=")
    if not name or not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is no field; give NAME=VALUE, such as year=2021")
    try:
        found = json.loads(value, parse_constant=_no_number)
    except ValueError:
        return name, value
    if isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is an object; give a number, text, true, false, null or a list")
    return name, found


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no JSON")  # Python reads NaN and Infinity, which nobody can store; then they are text


def _tell(failure: Failure) -> None:
    from setwise._table import printable

    name = failure.id or f"file number {failure.number + 1}"
    print(f"setwise add: error: {printable(name)}: {failure.error}", file=sys.stderr)
