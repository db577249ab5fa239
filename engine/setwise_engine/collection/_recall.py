"""Coarse recall: the index for the images that it covers, their segments' coarse vectors for all others."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._index import Index
from setwise_engine.collection._matching import Matching
from setwise_engine.collection._scan import Block, Scan, blocks_of, scores_of
from setwise_engine.collection._types import Candidate
from setwise_engine.collection._view import ROW_BITS, View
from setwise_engine.errors import NotFound

__all__ = ["DUE_ROWS", "DUE_SHARE", "Recall", "index_due"]

DUE_ROWS = 10_000
DUE_SHARE = 0.2
_KEPT_PLANS = 8

_Keys = NDArray[np.int64]
_Found = tuple[_Keys, NDArray[np.float32]]
_NOTHING: _Found = (np.zeros(0, np.int64), np.zeros(0, np.float32))


@dataclass(frozen=True, eq=False)
class _Plan:
    """Where some images are looked for. fresh: keys that the index does not cover, rising. rows: of the index, their
    number, and which: a bit for each row of the file, None for all."""

    fresh: _Keys
    rows: int
    bits: NDArray[np.uint8] | None


class Recall:
    """Recall over one view and one index (or none), and what filters match in that view."""

    def __init__(self, view: View, index: Index | None, scan: Scan) -> None:
        self.view = view
        self.index = index
        self.matching = Matching()
        self._scan = scan
        self._lock = threading.RLock()
        self._plans: list[tuple[_Keys, _Plan]] = []

    def best(self, vector: NDArray[np.float32], k: int, keys: _Keys | None = None) -> list[Candidate]:
        """At most k live rows of highest inner product, of all or of those with `keys`, best first, ties by their keys.

        keys: rising, of live rows. Raises NotFound when one is not.
        """
        k = min(k, self.view.images if keys is None else len(keys))
        if k <= 0:
            return []
        plan = self._everything if keys is None else self._known_plan(keys)
        found = [self._from_index(vector, k, plan), self._from_segments(vector, k, plan.fresh)]
        best = np.concatenate([keys for keys, _ in found])
        scores = np.concatenate([scores for _, scores in found])
        order = np.lexsort((best, -scores))[:k]
        return [Candidate(key, score) for key, score in zip(best[order].tolist(), scores[order].tolist(), strict=True)]

    def covered(self) -> int:
        """Live images in the index."""
        return 0 if self.index is None or self.index.broken else int(self._covered.sum())

    @functools.cached_property
    def _covered(self) -> NDArray[np.bool_]:
        """Which of the view's live images the index covers."""
        assert self.index is not None
        return self.index.covers(self.view.live_births)

    @property
    def _everything(self) -> _Plan:
        with self._lock:
            return self._plan_of_all

    @functools.cached_property
    def _plan_of_all(self) -> _Plan:
        if not self._usable():
            return _Plan(self.view.live, 0, None)
        assert self.index is not None
        rows = int(self._covered.sum())
        return _Plan(self.view.live[~self._covered], rows, self.index.living(rows, self._covered_births))

    def _covered_births(self) -> _Keys:
        return self.view.live_births[self._covered]

    def _known_plan(self, keys: _Keys) -> _Plan:
        """The plan for some keys; the last ones are kept, because a filter gives the same array every time."""
        for known, plan in self._plans:
            if known is keys:
                return plan
        plan = self._plan(keys)
        if not keys.flags.writeable:
            self._plans = [(keys, plan), *self._plans[: _KEPT_PLANS - 1]]
        return plan

    def _plan(self, keys: _Keys) -> _Plan:
        live = self.view.live
        places = np.minimum(np.searchsorted(live, keys), len(live) - 1)
        if not len(live) or (live[places] != keys).any():
            raise NotFound(f"some of the {len(keys)} keys are of no live image of version {self.view.version}")
        if not self._usable():
            return _Plan(keys, 0, None)
        assert self.index is not None
        births = self.view.live_births[places]
        covered = self.index.covers(births)
        return _Plan(keys[~covered], int(covered.sum()), self.index.bits_of(births[covered]))

    def _usable(self) -> bool:
        return self.index is not None and self.index.ready()

    def _from_index(self, vector: NDArray[np.float32], k: int, plan: _Plan) -> _Found:
        wanted = min(k, plan.rows)
        if not wanted:
            return _NOTHING
        assert self.index is not None
        for share in (plan.rows / len(self.index), 0.0):
            rows, scores = self.index.search(vector, wanted, plan.bits, share=share)
            if len(rows) >= wanted:
                return self._keys(rows), scores
        # A graph may reach fewer of the chosen rows than there are, however long one looks.
        chosen = np.arange(len(self.index)) if plan.bits is None else np.flatnonzero(_unpacked(plan.bits))
        return self._best_of(blocks_of(self.view), np.sort(self._keys(chosen)), vector, k)

    def _keys(self, rows: NDArray[np.int64]) -> _Keys:
        """Where the images of the index's rows lie now."""
        assert self.index is not None
        return self.view.live[self.view.positions(self.index.births[rows])]

    def _from_segments(self, vector: NDArray[np.float32], k: int, keys: _Keys) -> _Found:
        if not len(keys):
            return _NOTHING
        return self._best_of(self._blocks(), keys, vector, k)

    def _best_of(self, blocks: list[Block], keys: _Keys, vector: NDArray[np.float32], k: int) -> _Found:
        scores = scores_of(blocks, keys, vector)
        # Every row that ties with the k-th stays, so that the order of keys decides and not the partition.
        least = np.partition(scores, -k)[-k] if k < len(scores) else -np.inf
        best = np.flatnonzero(scores >= least)
        return keys[best], scores[best]

    def _blocks(self) -> list[Block]:
        """The segments of every image that the index does not cover."""
        with self._lock:
            return self._fresh_blocks

    @functools.cached_property
    def _fresh_blocks(self) -> list[Block]:
        numbers = np.unique(self._everything.fresh >> ROW_BITS)
        return self._scan.blocks(self.view, numbers.tolist())


def index_due(recall: Recall) -> bool:
    """Whether an index would now make searches faster, or the present one holds many rows that have died."""
    covered = recall.covered()
    rows = len(recall.index) if recall.index is not None else 0
    if recall.index is not None and recall.index.broken:
        return True
    fresh, dead = recall.view.images - covered, rows - covered
    return fresh > max(DUE_ROWS, DUE_SHARE * recall.view.images) or dead > max(DUE_ROWS, DUE_SHARE * rows)


def _unpacked(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.unpackbits(bits, bitorder="little")
