"""setwise verify: whether every byte of a collection is right."""

from __future__ import annotations

import argparse
from pathlib import Path

from setwise_indexer.commands.info import human_bytes

__all__ = ["HELP", "configure", "run"]

HELP = "check every byte of a collection"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `setwise verify`."""
    parser.add_argument("collection", type=Path, metavar="DIR", help="the collection's folder")
    parser.add_argument("--recompute", action="store_true", help="also hold the int8 gates against the tokens (slower)")


def run(args: argparse.Namespace) -> int:
    """Read everything and name what differs from what was written. Returns 0 when all is right, else 1."""
    from tqdm import tqdm

    from setwise_engine.collection import verify_folder

    with tqdm(desc="verifying", unit="B", unit_scale=True, disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = verify_folder(args.collection, progress, recompute=args.recompute)
    for problem in report.problems:
        print(problem)
    verdict = "every byte is right" if report.ok else f"problems found: {len(report.problems)}, see above"
    print(f"{args.collection}: {report.images:,} images, {human_bytes(report.bytes)} checked: {verdict}")
    return 0 if report.ok else 1
