"""How long a collection takes to open and what it then holds in memory: 1e4, 1e5 and 1e6 images.

    OMP_NUM_THREADS=1 python benchmarks/live_open.py --work build/benchmarks

Made-up sets of 4 tokens of 64 numbers (and of 32 tokens, once, to see whether tokens matter), coarse vectors of 64
numbers, one metadata field. Each figure comes from a process of its own; the files are in the page cache.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
from _shared import machine, say, table

from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.encoder import Encoder
from setwise_engine.feature_set import FeatureSet, Stage
from setwise_engine.search import Options, Searcher

DIMS = 64
CHUNK = 5000
ROUNDS = 5


def encoder() -> Encoder:
    """An encoder that leaves tokens as they are."""
    basis = np.eye(DIMS, dtype="f4")
    return Encoder(model="", dims_in=DIMS, dims=DIMS, mean=None, projection=None, sigma=1.0, coarse_basis=basis)


def made(work: Path, images: int, tokens: int) -> Path:
    """A collection of so many images around 1000 centres, made only if it is not there yet."""
    path = work / f"open-{images}-{tokens}.setwise"
    if path.exists():
        return path
    same, partial, started = encoder(), path.with_suffix(".partial"), perf_counter()
    settings = Settings("", 0, "", DIMS, same.fingerprint, coarse="mean")
    centres = np.random.default_rng(1).standard_normal((1000, 1, DIMS)).astype(np.float32)
    with Collection.create(partial, settings, same) as collection:
        for first in range(0, images, CHUNK):
            rng = np.random.default_rng([images, first])
            sets = centres[rng.integers(0, 1000, CHUNK)] + rng.standard_normal((CHUNK, tokens, DIMS), np.float32)
            collection.append(
                [
                    ImageRecord(
                        f"{first + i:07d}",
                        FeatureSet(one, Stage.ENCODED, "", same.fingerprint),
                        {"year": 2000 + i % 25},
                    )
                    for i, one in enumerate(sets.astype(np.float16))
                ]
            )
            if first % 100_000 == 0:
                say(f"{path.name}: {first} images, {perf_counter() - started:.0f} s")
        collection.build_index()
    say(f"{path.name}: made in {perf_counter() - started:.0f} s")
    return partial.rename(path)


def resident() -> dict[str, float]:
    """MB of this process in memory: its own, and pages of mapped files, which the kernel may drop."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) / 1000 for line in lines if line.startswith("Rss")}
    return {"own": found["RssAnon"], "mapped": found["RssFile"]}


def measure(path: Path) -> None:
    """Be the process that opens: prints one line of JSON."""
    query = FeatureSet(np.random.default_rng(0).standard_normal((4, DIMS)).astype(np.float16), Stage.RAW)
    before, started = resident(), perf_counter()
    with Collection.open(path, read_only=True) as collection:
        with collection.snapshot() as snapshot:
            images = len(snapshot)
        opened, after = perf_counter() - started, resident()
        searcher = Searcher(collection)
        started = perf_counter()
        searcher.search(query)
        first = perf_counter() - started
        times = []
        for _ in range(50):
            started = perf_counter()
            searcher.search(query, Options())
            times.append(perf_counter() - started)
        end = resident()
    print(
        json.dumps(
            {
                "images": images,
                "open_ms": 1e3 * opened,
                "first_ms": 1e3 * first,
                "search_ms": 1e3 * float(np.median(times)),
                "open_own": after["own"] - before["own"],
                "open_mapped": after["mapped"] - before["mapped"],
                "end_own": end["own"] - before["own"],
                "end_mapped": end["mapped"] - before["mapped"],
            }
        )
    )


def row(path: Path, tokens: int) -> list[str]:
    """A line of the table: medians over processes."""
    runs = [
        json.loads(subprocess.run([sys.executable, __file__, "--measure", str(path)], check=True, stdout=-1).stdout)
        for _ in range(ROUNDS)
    ]
    median = {name: float(np.median([run[name] for run in runs])) for name in runs[0]}
    images = int(median["images"])
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return [
        f"{images:,}",
        str(tokens),
        f"{size / 1e6:,.0f}",
        f"{median['open_ms']:.1f}",
        f"{median['first_ms']:.1f}",
        f"{median['search_ms']:.2f}",
        f"{median['open_own']:.1f} + {median['open_mapped']:.1f}",
        f"{median['end_own']:.1f} + {median['end_mapped']:.1f}",
        f"{1e6 * median['end_own'] / images:.0f}",
    ]


def main() -> None:
    """Make the collections, open each, print one table."""
    parser = argparse.ArgumentParser(description="Open time and resident memory.")
    parser.add_argument("--work", type=Path, help="folder that keeps the collections")
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--measure", type=Path, metavar="DIR", help="be the process that opens")
    args = parser.parse_args()
    if args.measure:
        measure(args.measure)
        return
    args.work.mkdir(parents=True, exist_ok=True)
    shapes = [(images, 4) for images in args.images]
    shapes.insert(1, (args.images[0], 32))
    found = [row(made(args.work, images, tokens), tokens) for images, tokens in shapes]
    print(
        f"{machine()}\n\nMedians of {ROUNDS} processes; MB resident are given as own + mapped, over the bare process:\n"
    )
    header = ["images", "tokens an image", "MB on disk", "open, ms", "first search, ms", "search, ms"]
    print(table([*header, "MB after opening", "MB after 50 searches", "own bytes an image"], found))


if __name__ == "__main__":
    main()
