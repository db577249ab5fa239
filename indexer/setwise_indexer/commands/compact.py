"""setwise compact: merge small segments and drop deleted images from the disk."""

from __future__ import annotations

import argparse
import contextlib
import math
from pathlib import Path

from setwise_indexer.commands.info import human_bytes

__all__ = ["HELP", "configure", "run"]

HELP = "merge small segments and free the disk of deleted images"

_MEGA = 1_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `setwise compact`."""
    parser.add_argument("collection", type=Path, metavar="DIR", help="the collection's folder; it may be in use")
    parser.add_argument(
        "--everything",
        action="store_true",
        help="as few segments as possible and no deleted image, not only what is due",
    )
    parser.add_argument(
        "--megabytes-per-second", type=_rate, metavar="N", help="read and write at most so much (default: no limit)"
    )


def run(args: argparse.Namespace) -> int:
    """Compact the collection, and make a new index where that is due. Returns 0, or 1 when a segment is damaged."""
    from setwise_engine.collection import Collection

    rate = args.megabytes_per_second
    with Collection.open(args.collection) as collection:
        done = collection.compact(everything=args.everything, bytes_per_second=rate and rate * _MEGA)
        if index := collection.index_due():
            collection.build_index()
    for problem in done.problems:
        print(problem)
    print(
        f"{args.collection}: {done.segments_before:,} segments became {done.segments_after:,}, "
        f"{done.dropped:,} deleted images dropped, {human_bytes(done.bytes_before)} became "
        f"{human_bytes(done.bytes_after)}, {human_bytes(done.bytes_written)} written in {done.seconds:.1f} s"
        + (", index made anew" if index else "")
    )
    return 1 if done.problems else 0


def _rate(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (rate := float(text)) < math.inf:
            return rate
    raise argparse.ArgumentTypeError(f"{text} is no rate; give a number of megabytes above 0")
