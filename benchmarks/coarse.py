"""Which coarse vector, how many candidates, which FAISS type: recall of the exact top 10, and time.

    OMP_NUM_THREADS=1 python benchmarks/coarse.py --work build/benchmarks

The exact top 10 is that of an exhaustive search: every image's MaxSim bound, and the assignment wherever the bound
allows a place among the ten. Images beyond the 1000 composed scenes are resampled (`_shared.resampled`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import faiss
import numpy as np
from _shared import Sets, encoded, machine, resampled, say, shipped_encoder, table
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from setwise_engine.coarse import KINDS, Coarse
from setwise_evaluation.retrieval import recall_by_candidates
from setwise_evaluation.scenes import Split

TOP = 10
CANDIDATES = (10, 20, 50, 100, 200, 500)
SHOWN = (50, 100, 200, 500)
SMALLEST_IVF = 10_000
FAISS_KINDS = ("mean", "sqrtcov32", "mean+sqrtcov64")
QUERIES = {1_000: 100, 10_000: 50, 100_000: 20}
FACTORIES = ("Flat", "SQfp16", "SQ8", "IVF{lists},SQ8")
PROBES = (32, 128, 512)

Vectors = NDArray[np.float32]


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


def exact_top(stream: Iterator[Sets], queries: Sets, store: Path) -> list[list[int]]:
    """The exact top 10 of every query, kept in `store`; the collection is never held in memory as a whole."""
    if not store.exists():
        searches = [Exhaustive(query) for query in queries]
        done = 0
        with ThreadPoolExecutor(2) as threads:
            for part in (part for chunk in stream for part in np.array_split(chunk, max(1, len(chunk) // 125))):
                wide = part.astype(np.float32)
                norms = np.sqrt(np.einsum("bnd,bnd->b", wide, wide))
                for job in [threads.submit(search.add, wide, norms, done) for search in searches]:
                    job.result()
                done += len(part)
                if done % 10_000 == 0:
                    say(f"exact search: {done} images")
        say(f"{np.mean([search.solved for search in searches]):.0f} assignments a query for {done} images")
        store.write_text(json.dumps([search.images() for search in searches]))
    exact: list[list[int]] = json.loads(store.read_text())
    return exact


def pooled(stream: Iterator[Sets], pools: Sequence[Coarse]) -> dict[str, Vectors]:
    """The coarse vectors of a collection by kind, (images, c) each."""
    parts = [[pool.pool_many(list(chunk)) for pool in pools] for chunk in stream]
    return {pool.kind: np.concatenate([part[i] for part in parts]) for i, pool in enumerate(pools)}


def mean_recall(exact: Sequence[Sequence[int]], found: NDArray[np.int64], counts: Sequence[int]) -> list[str]:
    """Mean share of each query's exact hits among its first candidates, one text a count."""
    shares = [
        recall_by_candidates([str(i) for i in hits], [str(i) for i in candidates], counts)
        for hits, candidates in zip(exact, found.tolist(), strict=True)
    ]
    return [f"{share:.3f}" for share in np.mean(shares, axis=0)]


def timed_pool(pool: Coarse, queries: Sets) -> tuple[Vectors, float]:
    """The queries' own vectors and the median milliseconds of one."""
    vectors, times = [], []
    for query in queries:
        start = perf_counter()
        vectors.append(pool.pool(query))
        times.append(perf_counter() - start)
    return np.stack(vectors), 1e3 * float(np.median(times))


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
    if "IVF" in factory:
        clustering = faiss.extract_index_ivf(index).cp
        clustering.niter, clustering.max_points_per_centroid = 10, 64
    index.train(vectors)
    index.add(vectors)
    return index, perf_counter() - start, faiss.serialize_index(index).nbytes // len(vectors)


def recall_row(pool: Coarse, vectors: Vectors, queries: Sets, exact: list[list[int]]) -> list[str]:
    """Recall of one kind with an exact (flat) coarse search."""
    own, _ = timed_pool(pool, queries)
    order = np.argsort(-(own @ vectors.T), axis=1, kind="stable")[:, : CANDIDATES[-1]]
    return [pool.kind, str(pool.dims), *mean_recall(exact, order, CANDIDATES)]


def faiss_rows(pool: Coarse, vectors: Vectors, queries: Sets, exact: list[list[int]]) -> Iterator[list[str]]:
    """Recall, time and size of one kind with every FAISS type."""
    own, pool_ms = timed_pool(pool, queries)
    say(f"FAISS: {pool.kind} of {len(vectors)} images")
    for template in FACTORIES:
        lists = round(4 * len(vectors) ** 0.5)
        factory = template.format(lists=lists)
        if "IVF" in factory and len(vectors) < SMALLEST_IVF:
            continue
        index, seconds, size = built(factory, vectors)
        for probes in [p for p in PROBES if p < lists] if "IVF" in factory else [None]:
            found, search_ms = searched(index, own, SHOWN[-1], probes)
            name = f"{factory}, {probes} probes" if probes else factory
            cells = [f"{pool_ms:.2f} + {search_ms:.2f}", f"{size:,}", f"{seconds:.1f}"]
            yield [pool.kind, name, *cells, *mean_recall(exact, found, SHOWN)]


def main() -> None:
    """Measure what the arguments ask for and print Markdown tables."""
    parser = argparse.ArgumentParser(description="Recall and time of coarse vectors and FAISS types.")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps scenes and sets between runs")
    parser.add_argument("--images", type=int, nargs="+", choices=sorted(QUERIES), default=sorted(QUERIES))
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)

    encoder = shipped_encoder()
    real = encoded(args.work, Split.INSTANCE_DATABASE, 1000, 1)
    donors = np.concatenate([real, encoded(args.work, Split.CATEGORY_DATABASE, 1000, 1)])
    all_queries = encoded(args.work, Split.INSTANCE_QUERY, 100, 1)
    print(machine(), end="\n\n")
    for images in args.images:

        def stream(images: int = images) -> Iterator[Sets]:
            return iter([real]) if images == len(real) else resampled(donors, images, seed=images)

        queries = all_queries[: QUERIES[images]]
        exact = exact_top(stream(), queries, args.work / f"exact-{images}-{encoder.fingerprint}.json")
        pools = [Coarse(kind, encoder.coarse_basis) for kind in KINDS]
        vectors = pooled(stream(), pools)
        recalls = [recall_row(pool, vectors[pool.kind], queries, exact) for pool in pools]
        typed = [pool for pool in pools if pool.kind in FAISS_KINDS]
        types = [row for pool in typed for row in faiss_rows(pool, vectors[pool.kind], queries, exact)]
        report(images, len(queries), recalls, types)


def report(images: int, queries: int, recalls: list[list[str]], types: list[list[str]]) -> None:
    """Print the tables of one size."""
    print(f"{images:,} images, {queries} queries: share of the exact top {TOP} among the first candidates, flat\n")
    print(table(["coarse vector", "dimensions", *map(str, CANDIDATES)], recalls))
    header = ["coarse vector", "FAISS", "ms: own vector + search", "bytes an image", "build s", *map(str, SHOWN)]
    print(f"The same by FAISS type, first {SHOWN[-1]} candidates, one query at a time on one thread:\n")
    print(table(header, types))


if __name__ == "__main__":
    main()
