"""Recorded work of many seeds, every prefix of it replayed with what was not forced to disk dropped or torn.

    scripts/faults prefixes --prefixes 10000

TMPDIR should name a folder in memory: tens of thousands of small collections are written and opened.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from recorder import Recorder
from replay import Count, replay
from workload import Work, created

from setwise_engine.collection import Collection

__all__ = ["one_seed"]

COLLECTION = "photos.setwise"


def one_seed(seed: int, folder: Path, *, steps: int, chances: int, count: Count | None = None) -> Count:
    """Work of one seed in `folder`, recorded and replayed."""
    rng = random.Random(seed)
    root = folder / f"recorded-{seed}"
    path = root / COLLECTION
    with created(path) as empty:
        empty.append([])
    recorder = Recorder(root)
    with Collection.open(path, disk=recorder) as collection:
        work = Work(collection, recorder, rng)
        base = recorder.start(path / "catalog.sqlite")
        work.steps(steps)
    crashed = folder / "crashed"
    return replay(
        recorder.log, base, work.states, path=COLLECTION, folder=crashed, rng=rng, chances=chances, count=count
    )


def say(text: str) -> None:
    """Progress on stderr."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Prints the count; 1 when anything was lost or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prefixes", type=int, default=1000, help="at least so many")
    parser.add_argument("--steps", type=int, default=20, help="writes of each seed")
    parser.add_argument("--chances", type=int, default=3, help="crashes drawn for each prefix, beside four plain ones")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    count, seed, begun = Count(), args.seed, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="setwise-prefixes-") as folder:
        while count.prefixes < args.prefixes:
            one_seed(seed, Path(folder), steps=args.steps, chances=args.chances, count=count)
            say(f"seeds {args.seed} to {seed}, {time.monotonic() - begun:.0f} s: {count}")
            seed += 1
            if count.problems:
                break
    print(f"{count}\n{args.steps} writes a seed, seeds {args.seed} to {seed - 1}, {time.monotonic() - begun:.0f} s")
    print("\n".join(count.problems[:20]))
    return 1 if count.lost or count.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
