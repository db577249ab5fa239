"""Recall of the images that pass a filter: a selector over FAISS, or their coarse vectors scored directly.

    OMP_NUM_THREADS=1 python benchmarks/filtered_recall.py --rows 100000 --dims 528

Vectors: clusters of clusters, of unit norm; queries: stored vectors with noise. Passing rows are drawn by chance
("scattered") or are the rows nearest to a few centres ("together"), as when a filter goes with what pictures show.
Wanted: the exact top 10 among the 200 returned. One thread; a query's time is the median.
"""

from __future__ import annotations

import argparse
from time import perf_counter
from typing import Any

import faiss
import numpy as np
from _shared import machine, say, table
from numpy.typing import NDArray

from setwise_engine.collection import _index

SHARES = (1.0, 0.5, 0.2, 0.05, 0.01, 0.005, 0.0005)
RETURNED, TOP = 200, 10

Vectors = NDArray[np.float32]


def vectors(rows: int, dims: int, rng: np.random.Generator) -> Vectors:
    """(rows, dims) of unit norm around 64 centres and 4096 centres around these."""
    far = rng.standard_normal((64, dims), np.float32)
    near = far[rng.integers(64, size=4096)] + 0.7 * rng.standard_normal((4096, dims), np.float32)
    made = near[rng.integers(4096, size=rows)]
    made += 0.7 * rng.standard_normal((rows, dims), np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def chosen(data: Vectors, share: float, kind: str, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which rows pass."""
    if share == 1.0:
        return np.ones(len(data), np.bool_)
    if kind == "scattered":
        return rng.random(len(data)) < share
    centres = data[rng.integers(len(data), size=4)]
    nearness = (data @ centres.T).max(axis=1)
    return nearness >= np.quantile(nearness, 1 - share)


def measured(search: Any, queries: Vectors, exact: list[set[int]]) -> tuple[float, float]:
    """Median ms of a query, and the part of the exact top found."""
    times, found = [], []
    for query, best in zip(queries, exact, strict=True):
        started = perf_counter()
        rows = search(query)
        times.append(perf_counter() - started)
        found.append(len(best & set(rows.tolist())) / max(1, len(best)))
    return 1e3 * float(np.median(times)), float(np.mean(found))


def direct(data: Vectors, rows: NDArray[np.intp], query: Vectors) -> NDArray[np.intp]:
    """The passing rows' own vectors, as `_scan.scores_of` goes about it."""
    if 2 * len(rows) > len(data):
        scores = (data @ query)[rows]
    else:
        scores = np.concatenate([data[rows[first : first + 256]] @ query for first in range(0, len(rows), 256)])
    count = min(RETURNED, len(rows))
    return rows[np.argpartition(scores, -count)[-count:]]


def _ways(data: Vectors, rows: NDArray[np.intp], indexes: tuple[Any, Any], bits: Any, share: float) -> dict[str, Any]:
    asked, (flat, ivf) = min(RETURNED, len(rows)), indexes

    def by(index: Any, share: float) -> Any:
        return lambda query: _index._search(index, query, asked, bits, share)[1][0]

    return {
        "direct": lambda query: direct(data, rows, query),
        "SQ8": by(flat, 1.0),
        "IVF usual": by(ivf, 1.0),
        "IVF by share": by(ivf, share),
        "IVF all": by(ivf, 0.0),
    }


def main() -> None:
    """Prints one table for each way in which rows pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dims", type=int, default=528)
    parser.add_argument("--queries", type=int, default=40)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    say(machine())
    data = vectors(given.rows, given.dims, rng)
    queries = data[rng.integers(given.rows, size=given.queries)]
    queries += np.float32(0.5 / np.sqrt(given.dims)) * rng.standard_normal(queries.shape, np.float32)
    flat = faiss.index_factory(given.dims, "SQ8", faiss.METRIC_INNER_PRODUCT)
    lists = round(4 * np.sqrt(given.rows))
    ivf = faiss.index_factory(given.dims, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    for index in (flat, ivf):
        index.train(data[rng.permutation(given.rows)[: min(given.rows, 40 * lists)]])
        index.add(data)
    usual = _index._probes(lists, 1.0)
    for kind in ("scattered", "together"):
        lines = []
        for share in SHARES:
            mask = chosen(data, share, kind, rng)
            rows = np.flatnonzero(mask)
            bits = None if share == 1.0 else np.packbits(mask, bitorder="little")
            scores = queries @ data[rows].T
            exact = [set(rows[np.argsort(-line)[:TOP]].tolist()) for line in scores]
            ways = _ways(data, rows, (flat, ivf), bits, share)
            cells = ["{:.2f} ms, {:.3f}".format(*measured(search, queries, exact)) for search in ways.values()]
            lines.append([f"{share:.2%}", str(len(rows)), f"{_index._probes(lists, share)}", *cells])
        print(f"\n{given.rows} rows of {given.dims}, {kind}; {lists} lists, {usual} probed as a rule\n")
        print(table(["pass", "rows", "probes by share", *ways], lines))


if __name__ == "__main__":
    main()
