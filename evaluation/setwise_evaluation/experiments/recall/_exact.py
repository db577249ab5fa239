"""The exact top k of a whole collection, with ties, and how much of it a list of candidates holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection import Snapshot
from setwise_engine.matching import Kernel, Ranker, Ranking, half, no_check
from setwise_engine.search import rank_stored, with_the_rest
from setwise_evaluation.experiments.recall._types import Query

__all__ = ["ExactTop", "ask", "exact_top", "found_within", "places"]

Keys = NDArray[np.int64]

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class ExactTop:
    """Every image that scores at least as much as the k-th best.

    keys: (r,) int64, r >= k, rising. scores: (r,) float64, theirs. k: how many a right answer has.
    """

    keys: Keys
    scores: NDArray[np.float64]
    k: int

    @property
    def best(self) -> NDArray[np.float64]:
        """The scores of a right answer (k,), best first."""
        return np.sort(self.scores)[::-1][: self.k]

    @property
    def certain(self) -> NDArray[np.bool_]:
        """Which of `keys` every right answer holds (r,); the others tie for the places that are left."""
        above: NDArray[np.bool_] = self.scores > self.best[-1]
        return above


def ask(
    snapshot: Snapshot, query: Query, chunks: Iterator[Keys], k: int, *, kernel: Kernel, sigma: float, threads: int = 1
) -> Ranking:
    """The exact ranking of stored images, as a search makes it. Raises CorruptError as a search does."""
    ranker = Ranker(half(query.features), k=k, kernel=kernel, sigma=sigma, threads=threads, proofs=False)
    return rank_stored(ranker, snapshot, chunks, no_check)


def exact_top(
    snapshot: Snapshot, query: Query, keys: Keys, first: Keys, k: int, *, kernel: Kernel, sigma: float, threads: int
) -> ExactTop:
    """The exact top k among `keys`, which rise: the engine's exhaustive search, every image solved or ruled out.

    first: promising ones, ranked before the others, so that most are soon ruled out. Tokens stay on disk and are read
    in chunks.
    """
    chunks = with_the_rest(first, keys)
    finalists = ask(snapshot, query, chunks, k, kernel=kernel, sigma=sigma, threads=threads).finalists
    pairs = sorted((one.key, one.score) for one in finalists)
    return ExactTop(np.array([key for key, _ in pairs], np.int64), np.array([score for _, score in pairs]), k)


def places(top: ExactTop, order: Keys) -> Keys:
    """Where the images of `top` stand in a coarse order of keys, best first (r,); beyond every count when absent."""
    found = np.full(len(top.keys), _NEVER)
    if len(order):
        at = np.argsort(order, kind="stable")
        spots = np.minimum(np.searchsorted(order[at], top.keys), len(order) - 1)
        there = order[at][spots] == top.keys
        found[there] = at[spots[there]]
    return found


def found_within(top: ExactTop, where: Keys, counts: Sequence[int]) -> Keys:
    """How many places of a right answer the first candidates fill, one number a count: at most k.

    where: places of `top.keys` in the coarse order, from 0. An image with the k-th score counts as well as any other
    that ties with it, up to the places that are left for them.
    """
    certain = top.certain
    left = top.k - int(certain.sum())
    within = where[:, None] < np.asarray(counts)
    found: Keys = within[certain].sum(axis=0) + np.minimum(within[~certain].sum(axis=0), left)
    return found
