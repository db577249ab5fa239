"""`setwise alias`: names that stand for the collections of a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["HELP", "configure", "run"]

HELP = "list, set or delete the aliases of a folder of collections"

_DESCRIPTION = """
An alias is a second name for a collection. Set it to another collection, and every server of the folder answers callers
of that name from the new one within a second, in one step: `setwise reindex` makes one to move it to.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = _DESCRIPTION
    parser.add_argument("root", type=Path, metavar="ROOT", help="the folder, as given to `setwise serve --root`")
    parser.add_argument("alias", nargs="?", metavar="NAME", help="the alias; leave it out to list all")
    parser.add_argument("collection", nargs="?", metavar="COLLECTION", help="what it is to stand for from now on")
    parser.add_argument("--delete", action="store_true", help="forget the alias; the collection stays")


def run(args: argparse.Namespace) -> int:
    """List, set or delete. Returns 0."""
    from setwise_engine.errors import InvalidInput
    from setwise_server._root import Root

    if args.alias and bool(args.collection) == args.delete:
        raise InvalidInput("give either the COLLECTION that the alias is to stand for or --delete", field="collection")
    if args.delete and not args.alias:
        raise InvalidInput("give the NAME of the alias to delete", field="alias")
    root = Root(args.root)
    if args.delete:
        root.delete_alias(args.alias)
        print(f"{args.alias} deleted")
    elif args.alias:
        before = root.set_alias(args.alias, args.collection)
        print(f"{args.alias} -> {args.collection}" + (f" (was {before})" if before else ""))
    else:
        for alias, collection in sorted(root.aliases().items()):
            print(f"{alias} -> {collection}")
    return 0
