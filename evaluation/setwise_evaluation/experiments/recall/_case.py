"""What a study is about, settled: one version, what may be found in it, who asks, and for how many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection import Collection, Snapshot
from setwise_engine.errors import InvalidInput, NotFound
from setwise_engine.filters import Filter
from setwise_engine.matching import Kernel
from setwise_evaluation.experiments.recall._types import Query

__all__ = ["COUNTS", "Case", "settle"]

COUNTS = (10, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000)
_FEW_QUERIES = 50

Keys = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """keys: images that may be found, rising; passing: the same where a filter chose them, else None. owns: by query,
    the key of its own image, or None. counts: numbers of candidates, rising."""

    collection: Collection
    snapshot: Snapshot
    keys: Keys
    passing: Keys | None
    queries: tuple[Query, ...]
    owns: tuple[int | None, ...]
    k: int
    counts: tuple[int, ...]
    kernel: Kernel
    threads: int

    def others(self, keys: Keys, query: int) -> Keys:
        """Keys without the query's own image."""
        return keys if self.owns[query] is None else keys[keys != self.owns[query]]

    def recalled(self, vector: NDArray[np.float32], count: int, query: int) -> Keys:
        """The first candidates of the collection as it is, so many without the query's own image, best first."""
        found = self.snapshot.recall(vector, count + (self.owns[query] is not None), self.passing)
        return self.others(np.array([candidate.key for candidate in found], np.int64), query)[:count]


def settle(
    collection: Collection,
    snapshot: Snapshot,
    queries: Sequence[Query],
    *,
    where: Filter | None,
    k: int,
    counts: Sequence[int] | None,
    kernel: Kernel,
    threads: int,
) -> tuple[Case, list[str]]:
    """What of the request the collection can give, and a sentence for what it cannot.

    Raises InvalidInput where nothing can be found, NotFound for a query's own image that is not there.
    """
    keys = snapshot.live_keys() if where is None else snapshot.matching(where)
    owns = tuple(_own_key(snapshot, query, collection) for query in queries)
    least = len(keys) - bool(np.isin([own for own in owns if own is not None], keys).any())
    if least < 1:
        what = "passes the filter" if where is not None else f"is in {collection.path}"
        message = f"nothing can be found: {len(keys)} image {what} but for the queries"
        raise InvalidInput(f"{message}; index more images first", field="collection")
    possible = min(k, least)
    wanted = [count for count in COUNTS if count < least] if counts is None else counts
    return Case(
        collection=collection,
        snapshot=snapshot,
        keys=keys,
        passing=None if where is None else keys,
        queries=tuple(queries),
        owns=owns,
        k=possible,
        counts=tuple(sorted({min(max(count, possible), least) for count in wanted} | {possible})),
        kernel=kernel,
        threads=threads,
    ), _notes(collection, least, len(queries), k=k, filtered=where is not None)


def _own_key(snapshot: Snapshot, query: Query, collection: Collection) -> int | None:
    if query.own is None:
        return None
    [key] = snapshot.keys([query.own])
    if key is None:
        message = f"query {query.name!r} is to be left out as {query.own!r}, which {collection.path} does not hold"
        raise NotFound(f"{message}; set own to None", field="queries")
    return key


def _notes(collection: Collection, images: int, queries: int, *, k: int, filtered: bool) -> list[str]:
    notes = []
    if k > images:
        notes.append(f"A query can find {images} images, fewer than the {k} that were asked for: k is {images}.")
    if images <= COUNTS[-1]:
        notes.append(f"A query can find {images} images: to recall {images} or more is to score every one of them.")
    if queries < _FEW_QUERIES:
        notes.append(f"{queries} queries are few: intervals are wide, and one without misses may hide some.")
    if filtered:
        notes.append("With a filter only the collection as it is and the exact coarse orders are studied.")
    info = collection.info()
    if info.index is not None and info.indexed < info.images:
        notes.append(f"The index covers {info.indexed} of {info.images} images; the others are searched without it.")
    return notes
