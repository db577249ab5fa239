"""`setwise delete`: delete images from a collection, by id or by filter."""

from __future__ import annotations

import argparse
import json

from setwise.commands._connection import configure_connection, connect

__all__ = ["HELP", "configure", "run"]

HELP = "delete images by id or by filter, also while they are served"

_DESCRIPTION = """
Deletes images for good. `setwise list TARGET --where TEXT --count` tells before how many a filter takes.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = _DESCRIPTION
    add = parser.add_argument
    add("target", metavar="TARGET", help="host:port of a server, or a collection's directory")
    add("ids", metavar="ID", nargs="*", help="ids of images")
    add("--where", metavar="TEXT", help="instead of ids: all that pass, such as 'year < 2000'")
    add("--json", action="store_true", help="print JSON")
    configure_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Delete, and say how many; 1 when an id was not there."""
    import setwise
    from setwise._table import printable

    if bool(args.ids) == (args.where is not None):
        raise setwise.InvalidArgumentError("give either ids or --where: what shall be deleted", field="--where")
    with connect(args) as client:
        report = client.delete(args.ids or None, where=args.where)
    if args.json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        print(f"{report.deleted:,} deleted; version {report.version}")
        for id in report.missing:
            print(f"not there: {printable(id)}")
    return 1 if report.missing else 0
