"""How fast ready-made sets can be stored for good, and what that does to searches; beside LanceDB and Qdrant.

    OMP_NUM_THREADS=1 python benchmarks/live_upsert.py --work build/benchmarks

Every engine gets the same sets in the same portions, in turns within one run, and keeps its files in a folder of its
own. Setwise is `setwise serve`, written to by the SDK's upsert over gRPC: each image is acknowledged only once it has
been forced to disk, and its coarse vector, int8 gate and checksums have been made by then. LanceDB and Qdrant run in
process; LanceDB does not force what it writes, so it is also measured with an fsync of every new file after a portion;
Qdrant's local mode leaves that to SQLite. A process of its own searches setwise all the while, one search at a time,
100 ms apart.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from _live_data import metadata, real_sets
from _service import served
from _shared import Sets, machine, milliseconds, resampled, say, shipped_encoder, table
from _timing import optional

import setwise
from setwise_engine.collection import Collection, Settings
from setwise_engine.features import load_extractor

NAME = "upsert"
PAUSE_S = 0.1


class Setwise:
    """`setwise serve` on an empty collection, and its client."""

    name = "setwise"

    def __init__(self, folder: Path, address: str) -> None:
        info, encoder = load_extractor(device="cpu").info, shipped_encoder()
        self._facts = {"stage": "encoded", "model": info.fingerprint, "encoder": encoder.fingerprint}
        self._client = setwise.connect(address, collection=NAME, timeout=600)

    def upsert(self, first: int, sets: Sets) -> None:
        """Stores sets under the ids first, first + 1, ..."""
        items = (
            setwise.Item(f"{first + i:06d}", setwise.FeatureSet(one, **self._facts), metadata(first + i))
            for i, one in enumerate(sets)
        )
        report = self._client.upsert(items)
        if report.inserted != len(sets):
            raise RuntimeError(report.summary())


class Lance:
    """LanceDB: one merge by id for each portion, float16 multivectors. forced: and fsync of every file that is new."""

    def __init__(self, folder: Path, sets: Sets, *, forced: bool) -> None:
        self.name = "LanceDB, and fsync" if forced else "LanceDB"
        self._folder, self._forced, self._known = folder, forced, set[Path]()
        self._arrow, library = optional("pyarrow", "lancedb"), optional("lancedb", "lancedb")
        if library is None or self._arrow is None:
            raise ImportError
        self._table: Any = library.connect(str(folder)).create_table("sets", self._rows(-len(sets), sets))

    def upsert(self, first: int, sets: Sets) -> None:
        """Stores sets under the ids first, first + 1, ..."""
        merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        merge.execute(self._rows(first, sets))
        if self._forced:
            self._force()

    def _force(self) -> None:
        new = {path for path in self._folder.rglob("*") if path.is_file()} - self._known
        for path in sorted(new | {path.parent for path in new}):
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        self._known |= new

    def _rows(self, first: int, sets: Sets) -> Any:
        arrow, (count, n, d) = self._arrow, sets.shape
        tokens = arrow.FixedSizeListArray.from_arrays(arrow.array(sets.ravel()), d)
        column = arrow.ListArray.from_arrays(arrow.array(np.arange(0, count * n + 1, n, dtype=np.int32)), tokens)
        ids = [f"{first + i:06d}" for i in range(count)]
        texts = [json.dumps(metadata(abs(first + i))) for i in range(count)]
        return arrow.table({"id": ids, "vector": column, "metadata": texts})


class Qdrant:
    """qdrant-client's local mode in a folder: float32 multivectors."""

    name = "Qdrant, local mode"

    def __init__(self, folder: Path, dims: int) -> None:
        library = optional("qdrant_client", "qdrant-client")
        if library is None:
            raise ImportError
        self._models = models = library.models
        self._client = library.QdrantClient(path=str(folder))
        compare = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
        params = models.VectorParams(size=dims, distance=models.Distance.DOT, multivector_config=compare)
        self._client.create_collection("sets", vectors_config=params)

    def upsert(self, first: int, sets: Sets) -> None:
        """Stores sets under the ids first, first + 1, ..."""
        for start in range(0, len(sets), 100):
            some = enumerate(sets[start : start + 100].astype(np.float32), first + start)
            points = [self._models.PointStruct(id=i, vector=one.tolist(), payload=metadata(i)) for i, one in some]
            self._client.upsert("sets", points)


@contextmanager
def searching(address: str, work: Path) -> Iterator[Callable[[], list[float]]]:
    """A process that searches until the end; yields what gives the seconds of the searches since the last call."""
    command = [sys.executable, __file__, "--search", address, "--work", str(work)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        known = work / "search-times.txt"
        seen = 0

        def since() -> list[float]:
            nonlocal seen
            times = [float(line) for line in known.read_text().splitlines()]
            new, seen = times[seen:], len(times)
            return new

        try:
            yield since
        finally:
            process.kill()


def search(address: str, work: Path) -> None:
    """Be the process that searches."""
    queries = next(resampled(real_sets(work), 100, seed=5, chunk=100))
    info, encoder = load_extractor(device="cpu").info, shipped_encoder()
    facts = {"stage": "encoded", "model": info.fingerprint, "encoder": encoder.fingerprint}
    with setwise.connect(address, collection=NAME) as client, (work / "search-times.txt").open("w") as times:
        print("ready", flush=True)
        for number in range(1 << 30):
            started = perf_counter()
            client.search(setwise.FeatureSet(queries[number % 100], **facts), metadata=False)
            times.write(f"{perf_counter() - started}\n")
            times.flush()
            time.sleep(PAUSE_S)


def turns(engines: Sequence[Any], portions: Iterator[Sets], since: Callable[[], list[float]]) -> dict[str, Any]:
    """Seconds of every portion by engine, and of the searches while each wrote."""
    seconds: dict[str, list[float]] = {engine.name: [] for engine in engines}
    searches: dict[str, list[float]] = {"nobody writes": []}
    first = 0
    since()
    for turn, sets in enumerate(portions):
        time.sleep(3)
        searches["nobody writes"] += since()
        for engine in engines[turn % len(engines) :] + engines[: turn % len(engines)]:
            started = perf_counter()
            engine.upsert(first, sets)
            seconds[engine.name].append(perf_counter() - started)
            searches.setdefault(f"{engine.name} writes", []).extend(since())
        first += len(sets)
        say(f"{first} sets: " + ", ".join(f"{name} {times[-1]:.2f} s" for name, times in seconds.items()))
    return {"seconds": seconds, "searches": searches}


def main() -> None:
    """Fill the engines in turns, print two tables."""
    parser = argparse.ArgumentParser(description="Rate of durable upserts, and searches beside them.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps sets and collections")
    parser.add_argument("--portion", type=int, default=1000, help="sets that an engine gets in a turn")
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--start", type=int, default=5000, help="images that setwise holds at the beginning")
    parser.add_argument("--search", metavar="ADDRESS", help="be the process that searches")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if args.search:
        search(args.search, args.work)
        return
    folder = args.work / "upsert"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    info, encoder = load_extractor(device="cpu").info, shipped_encoder()
    settings = Settings(info.name, info.image_size, info.fingerprint, encoder.dims, encoder.fingerprint)
    Collection.create(folder / f"{NAME}.setwise", settings, encoder).close()
    sets = real_sets(args.work)
    with served(folder / f"{NAME}.setwise") as address:
        ours = Setwise(folder, address)
        for number, some in enumerate(resampled(sets, args.start, seed=1, chunk=500)):
            ours.upsert(900_000 + 500 * number, some)
        engines: list[Any] = [ours]
        others: list[Callable[[], Any]] = [
            lambda: Lance(folder / "lance", sets[:2], forced=False),
            lambda: Lance(folder / "lance-forced", sets[:2], forced=True),
            lambda: Qdrant(folder / "qdrant", sets.shape[2]),
        ]
        for make in others:
            with contextlib.suppress(ImportError):
                engines.append(make())
        portions = resampled(sets, args.portion * args.turns, seed=2, chunk=args.portion)
        with searching(address, args.work) as since:
            found = turns(engines, portions, since)
    report(found, args.portion, sets)
    shutil.rmtree(folder)


def report(found: dict[str, Any], portion: int, sets: Sets) -> None:
    """Two tables."""
    megabytes = sets[0].nbytes / 1e6
    print(f"{machine()}; sets of {sets.shape[1]} x {sets.shape[2]} float16, {1e3 * megabytes:.0f} kB each\n")
    rows = []
    for name, seconds in found["seconds"].items():
        rates = portion / np.array(seconds)
        total = portion * len(seconds) / sum(seconds)
        rows.append([name, portion * len(seconds), f"{total:,.0f}", f"{total * megabytes:.1f}", f"{rates.min():,.0f}"])
    print(table(["engine", "sets", "images/s", "MB/s of tokens", "slowest turn, images/s"], rows))
    print("Searches in setwise through the SDK, one at a time, 100 ms apart, p50 / p95 in ms:\n")
    times = found["searches"].items()
    print(
        table(["while", "searches", "search"], [[name, len(some), milliseconds(some)] for name, some in times if some])
    )


if __name__ == "__main__":
    main()
