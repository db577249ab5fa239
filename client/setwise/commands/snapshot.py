"""`setwise snapshot`: one version of a collection as a tar file, while it serves and is written to."""

from __future__ import annotations

import argparse
import sys

from setwise.commands._connection import configure_connection, connect

__all__ = ["HELP", "configure", "run"]

HELP = "copy a collection into a tar file, also while it is written to"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("target", metavar="TARGET", help="host:port of a server, or a collection's directory")
    add("out", metavar="TAR", help="the file to write, - for standard output; `setwise restore` unpacks it")
    configure_connection(parser, "seconds that the next piece may take")


def run(args: argparse.Namespace) -> int:
    """Fetch it, check it, and tell its SHA-256."""

    out = sys.stdout.buffer if args.out == "-" else args.out
    with connect(args) as client:
        info = client.download_snapshot(out, progress=sys.stderr.isatty())
    told = sys.stderr if args.out == "-" else sys.stdout
    print(f"{args.out}: {info.images:,} images, version {info.version}, {info.bytes / 1e6:,.1f} MB", file=told)
    print(f"sha256 {info.sha256}", file=told)
    return 0
