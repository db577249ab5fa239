"""Deleting a tenth of a collection and compacting it, with searches all the while: 100,000 images.

    OMP_NUM_THREADS=1 python benchmarks/live_compact.py --work build/benchmarks

The collection of `live_filters`. It is changed: the next run deletes a tenth of what is left. `--copy` works on a copy.
"""

from __future__ import annotations

import argparse
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
from _live_data import large, records
from _shared import machine, milliseconds, say, table

from setwise_engine.collection import Collection, Compaction, Remove
from setwise_engine.feature_set import FeatureSet
from setwise_engine.search import Searcher

PAUSE_S = 0.05


class Searches:
    """A thread that searches again and again, and notes the time of each by what is going on."""

    def __init__(self, searcher: Searcher, queries: Sequence[FeatureSet]) -> None:
        self._searcher, self._queries = searcher, queries
        self.times: dict[str, list[float]] = {}
        self.phase = "before"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Searches:
        for query in self._queries:  # so that what they need is in the page cache
            self._searcher.search(query)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            phase, started = self.phase, perf_counter()
            self._searcher.search(self._queries[number % len(self._queries)])
            self.times.setdefault(phase, []).append(perf_counter() - started)
            number += 1
            sleep(PAUSE_S)


def bytes_of(path: Path) -> int:
    """Bytes of all files."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def timed(work: Callable[[], Compaction | int]) -> tuple[float, Compaction | int]:
    """Seconds, and what came of it."""
    started = perf_counter()
    result = work()
    return perf_counter() - started, result


def delete(collection: Collection, every: int) -> int:
    """Deletes every so-many-th image, drawn at random, in one commit; how many."""
    with collection.snapshot() as snapshot:
        ids = snapshot.ids(snapshot.live_keys().tolist())
    chosen = np.random.default_rng(len(ids)).permutation(len(ids))[: len(ids) // every]
    collection.write([Remove(ids[i]) for i in chosen])
    return len(chosen)


def main() -> None:
    """Delete, compact, print two tables."""
    parser = argparse.ArgumentParser(description="Delete and compact while searching.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps the collection")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--copy", action="store_true", help="work on a copy, which takes as much room again")
    parser.add_argument("--bytes-per-second", type=float, help="bound of what compaction reads and writes")
    args = parser.parse_args()
    path = large(args.work, args.images)
    if args.copy:
        path = Path(shutil.copytree(path, path.with_suffix(".copy")))
    queries = [one.features for part in records(args.work, 100, seed=5) for one in part]
    before = bytes_of(path)
    with Collection.open(path) as collection, Searches(Searcher(collection), queries) as searches:
        sleep(10)
        searches.phase = "delete"
        delete_s, deleted = timed(lambda: delete(collection, 10))
        say(f"deleted {deleted} in {delete_s:.1f} s")
        searches.phase = "compaction"
        compact_s, found = timed(lambda: collection.compact(everything=True, bytes_per_second=args.bytes_per_second))
        say(f"compacted in {compact_s:.1f} s: {found}")
        searches.phase = "index"
        index_s, _ = timed(collection.build_index)  # type: ignore[arg-type]
        searches.phase = "after"
        sleep(10)
    after = bytes_of(path)
    assert isinstance(found, Compaction)
    print(f"{machine()}; {args.images:,} images, {before / 1e9:.2f} GB before and {after / 1e9:.2f} GB after\n")
    header = ["delete of", "s", "compaction, s", "segments", "rows dropped", "bytes written", "freed", "index anew, s"]
    segments = f"{found.segments_before} to {found.segments_after}"
    written, freed = f"{found.bytes_written / 1e9:.2f} GB", f"{(before - after) / 1e9:.2f} GB"
    line = [f"{deleted:,}", f"{delete_s:.2f}", f"{compact_s:.1f}", segments, f"{found.dropped:,}", written, freed]
    print(table(header, [[*line, f"{index_s:.1f}"]]))
    print("Searches with defaults, one at a time, 50 ms apart, p50 / p95 in ms:\n")
    rows = [[name, len(times), milliseconds(times)] for name, times in searches.times.items()]
    print(table(["while", "searches", "search"], rows))


if __name__ == "__main__":
    main()
