"""Scores from the coarse vectors that lie in the mapped segments."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._view import ROW_BITS, View

__all__ = ["COPIED_BYTES", "Block", "Scan", "blocks_of", "scores_of"]

_MERGED_BYTES = 4 << 20  # of one block: beyond it, one product more costs nothing
COPIED_BYTES = 64 << 20  # of all blocks that are copies
_GATHERED_ROWS = 256  # at once: about what a core's own cache holds


@dataclass(frozen=True, eq=False)
class Block:
    """Coarse vectors (rows, c) of one segment, mapped, or of some small ones, copied, and the rows' keys, rising."""

    segments: tuple[int, ...]
    keys: NDArray[np.int64]
    vectors: NDArray[np.float32]

    @property
    def copied_bytes(self) -> int:
        """Bytes of it that are no view into a mapped file."""
        return self.vectors.nbytes if len(self.segments) > 1 else 0


class Scan:
    """Stacks the coarse vectors of small segments, so that a thousand of them take few products; keeps the last stack.

    A new segment becomes a block of its own and is merged with its neighbour while that is not larger, so that growing
    by many small commits copies each row a logarithmic number of times. Large segments are used where they lie.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: list[Block] = []

    def blocks(self, view: View, wanted: Sequence[int]) -> list[Block]:
        """Blocks that together hold exactly the wanted segments, which rise, dead rows included."""
        with self._lock:
            kept: list[Block] = []
            done = 0
            for block in self._blocks:
                if tuple(wanted[done : done + len(block.segments)]) != block.segments:
                    break
                kept.append(block)
                done += len(block.segments)
            copied = sum(block.copied_bytes for block in kept)
            for segment in wanted[done:]:
                kept.append(_block(view, segment))
                while len(kept) > 1 and (merged := _merged(kept[-2], kept[-1], COPIED_BYTES - copied)) is not None:
                    copied += merged.copied_bytes - kept[-2].copied_bytes - kept[-1].copied_bytes
                    kept[-2:] = [merged]
            self._blocks = kept
            return list(kept)


def blocks_of(view: View) -> list[Block]:
    """Every segment of the view as a block, where it lies."""
    return [_block(view, segment) for segment in sorted(view.entries)]


def scores_of(blocks: Sequence[Block], keys: NDArray[np.int64], vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inner products (k,) with the coarse vectors of rising keys, all of which lie in the blocks, which rise too."""
    scores = np.empty(len(keys), np.float32)
    first = 0
    for block in blocks:
        if first == len(keys):
            break
        last = first + int(np.searchsorted(keys[first:], block.keys[-1], "right"))
        if last > first:
            _score(block, keys[first:last], vector, scores[first:last])
        first = last
    return scores


def _score(block: Block, keys: NDArray[np.int64], vector: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Few rows are gathered in parts that stay in the cache; of most rows' block, all are scored."""
    if 2 * len(keys) > len(block.keys):
        scores = block.vectors @ vector
        out[:] = scores if len(keys) == len(scores) else scores[np.searchsorted(block.keys, keys)]
        return
    rows = np.searchsorted(block.keys, keys)
    for first in range(0, len(rows), _GATHERED_ROWS):
        part = rows[first : first + _GATHERED_ROWS]
        out[first : first + len(part)] = block.vectors[part] @ vector


def _block(view: View, segment: int) -> Block:
    vectors = view.segments[segment].coarse()
    return Block((segment,), (segment << ROW_BITS) + np.arange(len(vectors), dtype=np.int64), vectors)


def _merged(a: Block, b: Block, room: int) -> Block | None:
    """Both in one; None when that is not worth the copy, or more than `room` more bytes."""
    size = a.vectors.nbytes + b.vectors.nbytes
    if len(a.keys) > len(b.keys) or size > _MERGED_BYTES or size - a.copied_bytes - b.copied_bytes > room:
        return None
    return Block(a.segments + b.segments, np.concatenate([a.keys, b.keys]), np.concatenate([a.vectors, b.vectors]))
