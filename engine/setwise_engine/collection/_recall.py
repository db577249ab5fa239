"""Coarse recall: the index for what it covers, a scan of the coarse vectors for everything newer."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._index import Index
from setwise_engine.collection._segments import Segments
from setwise_engine.collection._types import Candidate
from setwise_engine.collection._view import ROW_BITS, View

__all__ = ["Recall", "Scan"]


@dataclass(frozen=True, eq=False)
class _Block:
    """Coarse vectors (rows, c) of some neighbouring segments and the rows' keys, in rising order."""

    segments: tuple[int, ...]
    keys: NDArray[np.int64]
    vectors: NDArray[np.float32]


class Scan:
    """Stacks the coarse vectors of segments so that few large products score them; remembers the last stack.

    A new segment becomes a block of its own and is merged with its neighbour while that is not larger, so that growing
    by many small commits copies each row a logarithmic number of times.
    """

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._lock = threading.Lock()
        self._blocks: list[_Block] = []

    def blocks(self, view: View, wanted: list[int]) -> list[_Block]:
        """Blocks that together hold exactly the wanted segments."""
        with self._lock:
            kept: list[_Block] = []
            done = 0
            for block in self._blocks:
                if tuple(wanted[done : done + len(block.segments)]) != block.segments:
                    break
                kept.append(block)
                done += len(block.segments)
            for segment in wanted[done:]:
                kept.append(self._block(view, segment))
                while len(kept) > 1 and len(kept[-2].keys) <= len(kept[-1].keys):
                    kept[-2:] = [_merged(kept[-2], kept[-1])]
            self._blocks = kept
            return list(kept)

    def _block(self, view: View, segment: int) -> _Block:
        vectors = self._segments.get(view.entries[segment]).coarse()
        return _Block((segment,), (segment << ROW_BITS) + np.arange(len(vectors), dtype=np.int64), vectors)


def _merged(a: _Block, b: _Block) -> _Block:
    return _Block(a.segments + b.segments, np.concatenate([a.keys, b.keys]), np.concatenate([a.vectors, b.vectors]))


class Recall:
    """Recall over one view and one index (or none)."""

    def __init__(self, view: View, index: Index | None, scan: Scan) -> None:
        self.view = view
        self.index = index
        self._scan = scan
        self._lock = threading.Lock()
        self._prepared: list[tuple[_Block, NDArray[np.intp]]] | None = None

    def best(self, vector: NDArray[np.float32], k: int) -> list[Candidate]:
        """At most k live rows of highest inner product, best first, ties in the order of their keys."""
        k = min(k, self.view.images)
        if k <= 0:
            return []
        found = [self._from_index(vector, k), *self._from_scan(vector, k)]
        keys = np.concatenate([keys for keys, _ in found])
        scores = np.concatenate([scores for _, scores in found])
        order = np.lexsort((keys, -scores))[:k]
        return [Candidate(key, score) for key, score in zip(keys[order].tolist(), scores[order].tolist(), strict=True)]

    def covered(self) -> int:
        """Live images in the index."""
        if self.index is None:
            return 0
        rows = sum(self.view.entries[segment].rows for segment in self.index.segments)
        return rows - int(np.isin(self.view.dead >> ROW_BITS, list(self.index.segments)).sum())

    def _from_index(self, vector: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Dead rows are still in the index: ask for more until k live ones came or there is nothing more."""
        wanted = min(k, self.covered())
        if self.index is None or not wanted:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        asked, thorough = wanted, self.index.exhaustive
        while True:
            keys, scores = self.index.search(vector, asked, thorough=thorough)
            live = self.view.is_live(keys)
            if int(live.sum()) >= wanted or (asked >= len(self.index) and thorough):
                return keys[live][:wanted], scores[live][:wanted]
            # Short of k with fewer rows than asked for, the probed lists are empty: only the others can help.
            thorough = thorough or len(keys) < asked
            asked = min(2 * asked, len(self.index))

    def _from_scan(self, vector: NDArray[np.float32], k: int) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        found = []
        for block, dead in self._blocks():
            scores = block.vectors @ vector
            scores[dead] = -np.inf
            # Every row that ties with the k-th stays, so that the order of keys decides and not the partition.
            least = np.partition(scores, -k)[-k] if k < len(scores) else -np.inf
            best = np.flatnonzero((scores >= least) & (scores > -np.inf))
            found.append((block.keys[best], scores[best]))
        return found

    def _blocks(self) -> list[tuple[_Block, NDArray[np.intp]]]:
        with self._lock:
            if self._prepared is None:
                covered = self.index.segments if self.index else {}
                blocks = self._scan.blocks(
                    self.view, [segment for segment in self.view.entries if segment not in covered]
                )
                self._prepared = [(block, np.flatnonzero(self.view.is_dead(block.keys))) for block in blocks]
            return self._prepared
