"""What the kernel means for a search: its share of the time by image and by id, and how often 200 candidates do.

    OMP_NUM_THREADS=1 python benchmarks/kernel_search.py --work build/benchmarks

The collections are those of `kernel_collection.py`; searches go through the client, in process, with the defaults. An
answer from recalled candidates is compared with the certified one over the whole collection.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import numpy as np
from _protocols import DATABASE_SEED, PROTOCOLS, QUERY_SEED
from _shared import composed, encoded, machine, milliseconds, say, table
from kernel_collection import REAL, features, made

import setwise
from setwise_engine import matching
from setwise_engine.collection import Collection
from setwise_engine.search import Options, Scope, Searcher

T = TypeVar("T")
TOP = 10
WARM = 3
STAGES = ("extract_ms", "encode_ms", "recall_ms", "rerank_ms", "fetch_ms")


def timed(queries: Sequence[T], search: Callable[[T], setwise.Hits]) -> list[str]:
    """p50 / p95 of the whole call and of the stages, and the median share of ranking."""
    for query in queries[:WARM]:
        search(query)
    calls, stages = [], []
    for query in queries:
        start = perf_counter()
        hits = search(query)
        calls.append(perf_counter() - start)
        stages.append([getattr(hits.timings, stage) / 1e3 for stage in STAGES])
    parts = np.array(stages)
    share = np.median(parts[:, STAGES.index("rerank_ms")] / np.array(calls))
    return [milliseconds(calls), *(milliseconds(part) for part in parts.T), f"{100 * share:.0f} %"]


def latency(path: Path, images: Sequence[Path]) -> list[list[str]]:
    """Searches by image and by stored id."""
    with setwise.connect(path) as client:
        [info] = client.collections()
        ids = [image.id for image, _ in zip(client.list(), images, strict=False)]
        name = f"{info.images:,}"
        return [
            [name, "image", *timed(images, client.search)],
            [name, "id", *timed(ids, lambda id: client.search(setwise.Id(id)))],
        ]


def enough(path: Path, work: Path, queries: int) -> list[list[str]]:
    """How many default answers are the collection's certified ones."""
    rows = []
    with Collection.open(path, read_only=True) as collection:
        searcher = Searcher(collection)
        for name, (_, split) in PROTOCOLS.items():
            same, proven, shared = 0, 0, 0
            asked = [features(query) for query in encoded(work, split, queries, QUERY_SEED)]
            for query in asked:
                default = searcher.search(query, Options(k=TOP))
                certified = searcher.search(query, Options(k=TOP, exhaustive=True))
                ids = [hit.id for hit in certified.hits]
                same += [hit.id for hit in default.hits] == ids
                shared += len({hit.id for hit in default.hits} & set(ids))
                proven += default.scope is Scope.COLLECTION
            counts = [f"{100 * number / len(asked):.0f} %" for number in (proven, same)]
            rows.append(
                [
                    f"{certified.collection_size:,} {name}",
                    str(default.recalled),
                    *counts,
                    f"{shared / TOP / len(asked):.3f}",
                ]
            )
    return rows


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(description="The kernel's share of a search, and how often its candidates do.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps scenes and collections")
    parser.add_argument("--images", type=int, nargs="+", default=[REAL, 10_000, 100_000])
    parser.add_argument("--queries", type=int, default=20, help="of each protocol")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)

    donors = np.concatenate([encoded(args.work, split, REAL // 2, DATABASE_SEED) for split, _ in PROTOCOLS.values()])
    folders = [composed(args.work, split, args.queries, QUERY_SEED) for _, split in PROTOCOLS.values()]
    images = sorted(path for folder in folders for path in folder.glob("*.jpg"))
    times, shares = [], []
    for count in args.images:
        path = made(args.work, count, donors)
        say(f"searching {path.name}")
        times += latency(path, images)
        shares += enough(path, args.work, args.queries)
    print(f"{machine()}; kernel: {matching.kernel_name()}\n")
    print("p50 / p95 in ms, in process, one query after another:\n")
    header = ["images", "query", "whole call", *(stage.removesuffix("_ms") for stage in STAGES)]
    print(table([*header, "ranking's share of the call"], times))
    print(f"\nDefault answers (k = {TOP}) beside the certified ones of the whole collection:\n")
    header = ["images, queries", "candidates", "scope is the collection", "the certified answer", "of its hits found"]
    print(table(header, shares))


if __name__ == "__main__":
    main()
