"""`setwise list`: which images a collection holds, or how many pass a filter."""

from __future__ import annotations

import argparse
import json

from setwise.commands._connection import configure_connection, connect

__all__ = ["HELP", "configure", "run"]

HELP = "list or count the images of a collection, or those that pass a filter"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("target", metavar="TARGET", help="host:port of a server, or a collection's directory")
    add("--where", metavar="TEXT", help="only images that pass, such as 'year >= 2020 and tags contains \"sea\"'")
    add("--count", action="store_true", help="print their number only")
    add("--json", action="store_true", help="print JSON, one line an image")
    configure_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Print a line an image: its id, and its metadata after a tab."""
    from setwise._table import printable

    with connect(args) as client:
        if args.count:
            count = client.count(where=args.where)
            print(json.dumps({"count": count}) if args.json else count)
            return 0
        for image in client.list(where=args.where, page_size=1000):
            metadata = json.dumps(image.metadata, ensure_ascii=False) if image.metadata else ""
            line = "\t".join(map(printable, [image.id, metadata] if metadata else [image.id]))
            print(json.dumps(image.to_dict(), ensure_ascii=False) if args.json else line)
    return 0
