"""What the ranking needs of a snapshot: where its sets lie, which are live, and that their bytes are right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection import Snapshot
from setwise_engine.matching import Block, Blocks

__all__ = ["blocks", "check_rows", "live_keys", "prefetch"]


class _Segments(Mapping[int, Block]):
    """Stop-gap until `Snapshot.blocks` is there."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def __getitem__(self, number: int) -> Block:
        segment = self._snapshot._segments.get(self._snapshot.view.entries[number])
        return Block(segment._tokens, segment._arrays["offsets"], segment._arrays["squares"])

    def __iter__(self) -> Iterator[int]:
        return iter(self._snapshot.view.entries)

    def __len__(self) -> int:
        return len(self._snapshot.view.entries)


def blocks(snapshot: Snapshot) -> Blocks:
    return _Segments(snapshot)


def live_keys(snapshot: Snapshot) -> NDArray[np.int64]:
    view = snapshot.view
    rows = [(entry.id << 32) + np.arange(entry.rows, dtype=np.int64) for entry in view.entries.values()]
    keys = np.concatenate([np.empty(0, np.int64), *rows])
    live: NDArray[np.int64] = keys[~view.is_dead(keys)]
    return live


def check_rows(snapshot: Snapshot, keys: NDArray[np.int64], *, gate: bool) -> None:
    if not gate:
        for key in keys.tolist():
            snapshot.tokens(key)


def prefetch(snapshot: Snapshot, keys: NDArray[np.int64], *, gate: bool) -> None:
    snapshot.prefetch(keys.tolist())
