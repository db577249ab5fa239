"""Every setting put to the queries: the collection as it is, exact coarse orders, and FAISS indexes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from setwise_engine.coarse import Coarse
from setwise_evaluation.experiments.recall._case import Case
from setwise_evaluation.experiments.recall._curves import make_curve
from setwise_evaluation.experiments.recall._exact import ExactTop, found_within, places
from setwise_evaluation.experiments.recall._indexes import FLAT, BuiltIndex, setting_of
from setwise_evaluation.experiments.recall._types import Curve, Draws, Progress, Setting
from setwise_evaluation.experiments.recall._vectors import Vectors, coarse_vectors

__all__ = ["Asker"]

Keys = NDArray[np.int64]

Order = Callable[[int, int], Keys]
"""The first keys of a query, by its place, and how many are wanted; its own image may be among them."""


class Asker:
    """Puts settings to the queries of a case. tops: their exact answers."""

    def __init__(self, case: Case, tops: Sequence[ExactTop], draws: Draws, progress: Progress) -> None:
        self._case = case
        self._tops = tops
        self._draws = draws
        self._progress = progress
        info = case.collection.info()
        tokens = float(np.mean([len(query.features) for query in case.queries]))
        self._products = tokens * info.tokens / max(1, info.images) * info.settings.dims
        self._info = info

    def present(self) -> Curve:
        """The collection as it is, as a search recalls."""
        case, index, coarse = self._case, self._info.index, self._case.collection.coarse
        size = index.bytes / max(1, index.rows) if index else 0.0
        name = index.factory if index else FLAT
        setting = setting_of(coarse.kind, name, dims=coarse.dims, index_bytes=size, present=True)
        vectors, _ = self._pooled(coarse)
        return self._curve(setting, lambda query, count: case.recalled(vectors[query], count, query))

    def of_kind(self, pool: Coarse, factories: Sequence[str]) -> tuple[list[Curve], float]:
        """The exact coarse order of one kind and its indexes; and the median ms that a query's own vector takes."""
        case, images = self._case, len(self._case.keys)
        own = pool.kind == case.collection.settings.coarse
        name = f"coarse vectors {pool.kind}"
        vectors = coarse_vectors(
            case.snapshot,
            case.keys,
            pool,
            stored=own,
            threads=case.threads,
            progress=lambda done: self._progress(name, done, images),
        )
        asking, pool_ms = self._pooled(pool)
        flat = setting_of(pool.kind, FLAT, dims=pool.dims, index_bytes=4.0 * pool.dims)
        curves = [self._curve(flat, lambda query, count: case.keys[_flat_order(vectors, asking[query], count)])]
        for place, factory in enumerate(factories):
            self._progress(f"indexes of {pool.kind}", place, len(factories))
            index = BuiltIndex(vectors, pool.kind, factory, threads=case.threads)
            curves.append(self._curve(index.setting, _order_of(index, case.keys, asking)))
        return curves, pool_ms

    def _pooled(self, pool: Coarse) -> tuple[Vectors, float]:
        vectors, times = [], []
        with threadpool_limits(1, "blas"):
            for query in self._case.queries:
                started = perf_counter()
                vectors.append(pool.pool(query.features.tokens))
                times.append(perf_counter() - started)
        return np.stack(vectors), 1e3 * float(np.median(times))

    def _curve(self, setting: Setting, order: Order) -> Curve:
        counts = self._case.counts
        found, times = [], []
        with threadpool_limits(1, "blas"):
            for query in range(len(self._case.queries)):
                started = perf_counter()
                row = self._found(query, order, counts)
                times.append(perf_counter() - started)
                if setting.separate:
                    row = np.concatenate([self._found(query, order, [count]) for count in counts])
                found.append(row)
        return make_curve(
            setting,
            np.stack(found),
            counts,
            k=self._case.k,
            images=len(self._case.keys),
            products=self._products,
            draws=self._draws,
            coarse_ms=1e3 * float(np.median(times)),
        )

    def _found(self, query: int, order: Order, counts: Sequence[int]) -> Keys:
        """How many of the exact top k the first candidates hold, the query's own image not counted."""
        case = self._case
        wanted = max(counts) + (case.owns[query] is not None)
        first = case.others(order(query, wanted), query)[: max(counts)]
        return found_within(self._tops[query], places(self._tops[query], first), counts)


def _order_of(index: BuiltIndex, keys: Keys, asking: Vectors) -> Order:
    return lambda query, count: keys[index.order(asking[query], count)]


def _flat_order(vectors: Vectors, asked: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Rows of the highest inner products, best first, ties by their place."""
    scores = vectors @ asked
    least = np.partition(scores, -count)[-count] if count < len(scores) else -np.inf
    best = np.flatnonzero(scores >= least)
    order: NDArray[np.intp] = best[np.argsort(-scores[best], kind="stable")][:count]
    return order
