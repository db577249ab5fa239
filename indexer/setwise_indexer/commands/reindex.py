"""setwise reindex: a collection built anew from the files that its images came from."""

from __future__ import annotations

import argparse
from pathlib import Path

from setwise_indexer.commands.index import configure_new, configure_speed, options, run_request

__all__ = ["HELP", "configure", "run"]

HELP = "build a collection anew from its images' files, with another model or encoder"

_DESCRIPTION = """
Makes a new collection of the same images: ids and metadata are kept, the files are read again from where they were.
Files that are gone are reported, and so are those that have changed, which are indexed as they are now. Model, encoder
and the rest are the old collection's, but for the options given. Then move the alias: `setwise alias ROOT NAME NEW`.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `setwise reindex`."""
    parser.description = _DESCRIPTION
    add = parser.add_argument
    add("collection", type=Path, metavar="OLD", help="the collection's folder; it stays as it is")
    add("--into", type=Path, required=True, metavar="NEW", help="the new collection's folder")
    add("--report", type=Path, metavar="FILE", help="write failed images there, one JSON object a line")
    add("--strict", action="store_true", help="exit with 3 when an image failed (the others are indexed)")
    configure_new(parser.add_argument_group("what is to be other than in the old collection"))
    configure_speed(parser.add_argument_group("speed"))


def run(args: argparse.Namespace) -> int:
    """Build and print the summary. Returns 0, or 3 with --strict when images failed, or 130 after an interrupt."""
    from setwise_indexer import Request

    return run_request(Request(stored=args.collection, **options(args)), strict=args.strict, command="reindex")
