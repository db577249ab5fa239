"""Which coarse vector, how many candidates, which FAISS type: recall of the exact top 10, and time.

    OMP_NUM_THREADS=1 python benchmarks/coarse.py --work build/benchmarks

The exact top 10 is that of an exhaustive search: every image's MaxSim bound, and the assignment wherever the bound
allows a place among the ten. Images beyond the 1000 composed scenes are resampled (`_shared.resampled`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import faiss
import numpy as np
from _shared import Sets, encoded, machine, resampled, say, table
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from setwise_engine.coarse import KINDS, Coarse
from setwise_engine.encoder import default_encoder
from setwise_engine.features import load_extractor
from setwise_evaluation.retrieval import recall_by_candidates
from setwise_evaluation.scenes import Split

TOP = 10
CANDIDATES = (10, 20, 50, 100, 200, 500)
SHOWN = (50, 100, 200, 500)
QUERIES = {1_000: 100, 10_000: 50, 100_000: 20}
FACTORIES = ("Flat", "SQfp16", "SQ8", "IVF{lists},SQ8")
PROBES = (16, 32, 64, 128)

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Measured:
    """One collection size: the exact top 10 of every query, and the coarse vectors of all images by kind."""

    images: int
    exact: list[list[int]]
    vectors: dict[str, Vectors]


class Exhaustive:
    """The best images of one query over a stream of sets, proven by bounds (reference definitions, fp32 products)."""

    def __init__(self, query: Sets) -> None:
        self._query = query.astype(np.float32)
        self._norm = float(np.linalg.norm(self._query))
        self._best: list[tuple[float, int]] = []
        self.solved = 0

    def add(self, sets: Vectors, norms: Vectors, first: int) -> None:
        """Look at the images first, first + 1, ... with sets (b, n, d)."""
        b, n, d = sets.shape
        affinity = (sets.reshape(b * n, d) @ self._query.T).reshape(b, n, -1)
        bounds = np.minimum(affinity.max(axis=2).sum(axis=1), affinity.max(axis=1).sum(axis=1)) / (self._norm * norms)
        for index in np.argsort(-bounds):
            if len(self._best) == TOP and bounds[index] <= self._best[-1][0]:
                break
            rows, columns = linear_sum_assignment(affinity[index], maximize=True)
            value = float(affinity[index][rows, columns].sum() / (self._norm * norms[index]))
            self._best = sorted([*self._best, (value, first + int(index))], reverse=True)[:TOP]
            self.solved += 1

    def images(self) -> list[int]:
        """The best images, best first."""
        return [index for _, index in self._best]


def measure(sets: Iterator[Sets], queries: Sets, pools: Sequence[Coarse], images: int) -> Measured:
    """One pass over the collection, which is never held in memory as a whole."""
    searches = [Exhaustive(query) for query in queries]
    vectors: dict[str, list[Vectors]] = {pool.kind: [] for pool in pools}
    done = 0
    with ThreadPoolExecutor(2) as threads:
        for chunk in sets:
            for part in np.array_split(chunk, max(1, len(chunk) // 125)):
                wide = part.astype(np.float32)
                norms = np.sqrt(np.einsum("bnd,bnd->b", wide, wide))
                jobs = [threads.submit(search.add, wide, norms, done) for search in searches]
                for pool in pools:
                    vectors[pool.kind].append(pool.pool_many(list(part)))
                for job in jobs:
                    job.result()
                done += len(part)
            if done % 10_000 == 0:
                say(f"{done} of {images} images")
    say(f"{images} images: {np.mean([s.solved for s in searches]):.0f} assignments a query for the exact top {TOP}")
    return Measured(images, [s.images() for s in searches], {kind: np.concatenate(v) for kind, v in vectors.items()})


def mean_recall(exact: Sequence[Sequence[int]], found: NDArray[np.int64], counts: Sequence[int]) -> list[str]:
    """Mean share of each query's exact hits among its first candidates, one text a count."""
    shares = [
        recall_by_candidates([str(i) for i in hits], [str(i) for i in candidates], counts)
        for hits, candidates in zip(exact, found.tolist(), strict=True)
    ]
    return [f"{share:.3f}" for share in np.mean(shares, axis=0)]


def timed_pool(pool: Coarse, queries: Sets) -> tuple[Vectors, float]:
    """The queries' own vectors and the milliseconds that one takes."""
    start = perf_counter()
    vectors = np.stack([pool.pool(query) for query in queries])
    return vectors, 1e3 * (perf_counter() - start) / len(queries)


def searched(index: Any, vectors: Vectors, k: int, probes: int | None) -> tuple[NDArray[np.int64], float]:
    """First k images of every query, asked one by one on one thread, and the median milliseconds of one."""
    if probes:
        faiss.extract_index_ivf(index).nprobe = probes
    faiss.omp_set_num_threads(1)
    found, times = [], []
    for vector in vectors:
        start = perf_counter()
        found.append(index.search(vector[None], k)[1][0])
        times.append(perf_counter() - start)
    return np.stack(found), 1e3 * float(np.median(times))


def built(factory: str, vectors: Vectors) -> tuple[Any, float, int]:
    """An index over the vectors, the seconds it took on all cores, and its bytes an image."""
    faiss.omp_set_num_threads(2)
    start = perf_counter()
    index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    return index, perf_counter() - start, faiss.serialize_index(index).nbytes // len(vectors)


def recall_rows(measured: Measured, queries: Sets, pools: Sequence[Coarse]) -> Iterator[list[str]]:
    """Recall of every kind with an exact (flat) coarse search."""
    for pool in pools:
        vectors, _ = timed_pool(pool, queries)
        order = np.argsort(-(vectors @ measured.vectors[pool.kind].T), axis=1, kind="stable")[:, : CANDIDATES[-1]]
        shares = mean_recall(measured.exact, order, CANDIDATES)
        yield [f"{measured.images:,}", str(len(queries)), pool.kind, str(pool.dims), *shares]


def faiss_rows(measured: Measured, queries: Sets, pools: Sequence[Coarse]) -> Iterator[list[str]]:
    """Recall, time and size of every kind with every FAISS type."""
    for pool in pools:
        say(f"FAISS over {measured.images} vectors of {pool.kind}")
        vectors, own = timed_pool(pool, queries)
        for template in FACTORIES:
            factory = template.format(lists=round(4 * measured.images**0.5))
            index, seconds, size = built(factory, measured.vectors[pool.kind])
            for probes in PROBES if "IVF" in factory else (None,):
                found, milliseconds = searched(index, vectors, SHOWN[-1], probes)
                name = f"{factory}, {probes} probes" if probes else factory
                cells = [f"{own:.2f} + {milliseconds:.2f}", f"{size:,}", f"{seconds:.1f}"]
                yield [pool.kind, name, *cells, *mean_recall(measured.exact, found, SHOWN)]


def main() -> None:
    """Measure what the arguments ask for and print Markdown tables."""
    parser = argparse.ArgumentParser(description="Recall and time of coarse vectors and FAISS types.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps scenes and sets between runs")
    parser.add_argument("--images", type=int, nargs="+", choices=sorted(QUERIES), default=sorted(QUERIES))
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)

    encoder = default_encoder(load_extractor().info)
    assert encoder is not None
    pools = [Coarse(kind, encoder.coarse_basis) for kind in KINDS]
    real = encoded(args.work, Split.INSTANCE_DATABASE, 1000, 1)
    donors = np.concatenate([real, encoded(args.work, Split.CATEGORY_DATABASE, 1000, 1)])
    all_queries = encoded(args.work, Split.INSTANCE_QUERY, 100, 1)

    recalls: list[list[str]] = []
    types: dict[int, list[list[str]]] = {}
    for images in args.images:
        queries = all_queries[: QUERIES[images]]
        stream = iter([real]) if images == len(real) else resampled(donors, images, seed=images)
        measured = measure(stream, queries, pools, images)
        recalls += recall_rows(measured, queries, pools)
        types[images] = list(faiss_rows(measured, queries, pools))
    report(recalls, types)


def report(recalls: list[list[str]], types: dict[int, list[list[str]]]) -> None:
    """Print the tables."""
    print(machine(), end="\n\n")
    print(f"Share of the exact top {TOP} among the first candidates, flat coarse search:\n")
    print(table(["images", "queries", "coarse vector", "dimensions", *map(str, CANDIDATES)], recalls))
    header = ["coarse vector", "FAISS", "ms: own vector + search", "bytes an image", "build s", *map(str, SHOWN)]
    for images, rows in types.items():
        print(f"{images:,} images, first {SHOWN[-1]} candidates, one query at a time on one thread:\n")
        print(table(header, rows))


if __name__ == "__main__":
    main()
