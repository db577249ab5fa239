"""Regions: which kernel finds an object's other scenes, and what the coarse vectors of whole images recall of them.

    scripts/bench regions --work build/benchmarks

Each object of the query scenes of the instance protocol is asked for by its box; right are the scenes that show the
same object. Exact answers are exhaustive ones. `--recall-in` measures recall in another collection of the same network.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from time import perf_counter

from _protocols import QUERY_SEED, Protocol
from _shared import machine, milliseconds, raw, say, table

from setwise_engine.collection import Collection
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize
from setwise_engine.matching import Kernel
from setwise_engine.search import Options, Region, Searcher

KERNELS = (Kernel.CONTAINMENT, Kernel.COSINE, Kernel.INNER_PRODUCT)
CANDIDATES = (100, 200, 500, 1000, 2000)
TOP = 10
SIZE = ImageSize(640, 480)
GRID = Grid(10, 10)

Asked = tuple[FeatureSet, Region, str]


def main() -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(description="regions: kernels and recall")
    parser.add_argument("--work", type=Path, default=Path("build/benchmarks"), help="folder for scenes and sets")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--queries", type=int, default=500, help="query scenes to compose")
    parser.add_argument("--asked", type=int, default=100, help="how many of them are asked with")
    parser.add_argument("--recall-in", type=Path, metavar="DIR", help="measure recall in this collection, nothing else")
    args = parser.parse_args()
    protocol = Protocol("instance", args.work, args.images, args.queries)
    sets = raw(args.work, protocol.query_split, args.queries, QUERY_SEED)[: args.asked]
    asked = list(_regions(protocol, [FeatureSet(one, grid=GRID, image_size=SIZE) for one in sets]))
    print(f"{machine()}\n")
    with Collection.open(args.recall_in or protocol.path, read_only=True) as collection:
        searcher = Searcher(collection, scan_threads=1)
        print(f"{len(asked)} regions of {args.asked} scenes, {collection.info().images} images\n")
        if args.recall_in is None:
            print(_quality(searcher, protocol, asked))
        print(_recall(searcher, asked))


def _quality(searcher: Searcher, protocol: Protocol, asked: Sequence[Asked]) -> str:
    shown, _ = protocol.labels("instances")
    rows = []
    for kernel in KERNELS:
        answers, seconds = _ask(searcher, asked, Options(k=TOP, exhaustive=True, kernel=kernel))
        right = [[name in shown[id] for id in ids] for (_, _, name), ids in zip(asked, answers, strict=True)]
        shares = [f"{mean(mean(one[:k]) for one in right):.3f}" for k in (1, 5, 10)]
        rows.append([kernel, *shares, milliseconds(seconds)])
    chance = mean(mean(name in labels for labels in shown.values()) for _, _, name in asked)
    rows.append(["by chance", *[f"{chance:.3f}"] * 3, "-"])
    return table(["ranked by", "P@1", "P@5", "P@10", "exhaustive, ms p50 / p95"], rows)


def _recall(searcher: Searcher, asked: Sequence[Asked]) -> str:
    exact, _ = _ask(searcher, asked, Options(k=TOP, exhaustive=True))
    rows = []
    for count in CANDIDATES:
        found, _ = _ask(searcher, asked, Options(k=TOP, candidates=count))
        shares = [len({*some} & {*best}) / TOP for some, best in zip(found, exact, strict=True)]
        rows.append([str(count), f"{mean(shares):.3f}"])
    return table(["candidates", f"recall of the exact top {TOP} by containment"], rows)


def _regions(protocol: Protocol, sets: Sequence[FeatureSet]) -> Iterator[Asked]:
    lines = (protocol.query_folder / "labels.jsonl").read_text().splitlines()
    for features, line in zip(sets, map(json.loads, lines), strict=False):
        boxes = [tuple(line["boxes"][i : i + 4]) for i in range(0, len(line["boxes"]), 4)]
        for name, box in zip(line["instances"], boxes, strict=True):
            yield features, Region(box=box), name


def _ask(searcher: Searcher, asked: Sequence[Asked], options: Options) -> tuple[list[list[str]], list[float]]:
    answers, seconds = [], []
    say(f"{len(asked)} regions with {options}")
    for features, region, _ in asked:
        started = perf_counter()
        answer = searcher.search(features, options, region=region)
        seconds.append(perf_counter() - started)
        answers.append([hit.id for hit in answer.hits])
    return answers, seconds


if __name__ == "__main__":
    main()
