"""setwise restore: a snapshot back into a folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from setwise_indexer.commands.info import human_bytes

__all__ = ["HELP", "configure", "run"]

HELP = "make a collection's folder from a snapshot"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `setwise restore`."""
    parser.add_argument("snapshot", metavar="TAR", help="what `setwise snapshot` made; - for standard input")
    parser.add_argument("collection", type=Path, metavar="DIR", help="the folder to make; it must not exist")


def run(args: argparse.Namespace) -> int:
    """Unpack the snapshot, comparing every byte with its checksum. Returns 0."""
    from setwise_engine.collection import restore

    info = restore(sys.stdin.buffer if args.snapshot == "-" else Path(args.snapshot), args.collection)
    print(f"{args.collection}: {info.images:,} images, version {info.version}, from {human_bytes(info.bytes)}")
    print(f"sha256 {info.sha256}")
    return 0
