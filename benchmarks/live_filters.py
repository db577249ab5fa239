"""Searches under filters that half, a twentieth and a two-hundredth of 100,000 images pass: time, and recall.

    OMP_NUM_THREADS=1 python benchmarks/live_filters.py --work build/benchmarks

Sets with the statistics of real ones (`_live_data`: resampled from 300 crops of real photos), default model, encoder
and coarse vectors; about 9 GB, made once. Queries are resampled the same way with another seed. Recall: the share of
the exact filtered top 10 (an exhaustive search with the same filter) that the default search returns.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from _live_data import large, records
from _shared import machine, milliseconds, say, table

from setwise_engine.collection import Collection
from setwise_engine.feature_set import FeatureSet
from setwise_engine.filters import Equals, Filter
from setwise_engine.search import Options, Searcher

TOP = 10
FILTERS: dict[str, Sequence[Filter | None]] = {
    "none": [None] * 200,
    "50 %": [Equals("half", n % 2) for n in range(200)],
    "5 %": [Equals("twentieth", n % 20) for n in range(200)],
    "0.5 %": [Equals("batch", f"batch {n:03d}") for n in range(200)],
}
"""What is asked for, by name: query n has filter n."""


def row(name: str, searcher: Searcher, queries: Sequence[FeatureSet], exact: int) -> list[str]:
    """Times of a filter seen for the first time in a version, of one seen before, and recall."""
    filters = FILTERS[name]
    first, again, shares, matching = [], [], [], []
    for number, where in enumerate(filters[: len(queries)]):
        for times in (first, again):  # another query the second time: only the filter has been seen
            started = perf_counter()
            answer = searcher.search(queries[(number + len(times)) % len(queries)], Options(k=TOP, where=where))
            (first if times is first else again).append(perf_counter() - started)
        matching.append(answer.matching)
    for where, query in list(zip(filters, queries, strict=False))[:exact]:
        best = searcher.search(query, Options(k=TOP, where=where, exhaustive=True))
        found = searcher.search(query, Options(k=TOP, where=where))
        shares.append(len({hit.id for hit in best.hits} & {hit.id for hit in found.hits}) / len(best.hits))
    say(f"{name}: done")
    return [
        name,
        f"{np.mean(matching):,.0f}",
        milliseconds(first),
        milliseconds(again),
        f"{np.mean(shares):.3f}" if shares else "",
        f"{sum(share == 1 for share in shares)} of {len(shares)}",
    ]


def main() -> None:
    """Make the collection, time it, print one table."""
    parser = argparse.ArgumentParser(description="Searches under filters.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps the collection")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--exact", type=int, default=20, help="queries of each filter whose exact top 10 is computed")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    path = large(args.work, args.images)
    queries = [one.features for part in records(args.work, args.queries, seed=5) for one in part]
    with Collection.open(path, read_only=True) as collection:
        searcher = Searcher(collection)
        for query in queries[:10]:
            searcher.search(query)
        found = [row(name, searcher, queries, args.exact) for name in FILTERS]
    print(f"{machine()}; {args.images:,} images, {len(queries)} queries, one at a time, k = {TOP}; p50 / p95 in ms:\n")
    header = ["filter passes", "images that pass", "filter new to the version", "filter seen before"]
    print(table([*header, f"recall of the exact filtered top {TOP}", "complete"], found))


if __name__ == "__main__":
    main()
