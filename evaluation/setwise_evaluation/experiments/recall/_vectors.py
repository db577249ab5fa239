"""Coarse vectors of every kind that the engine knows, from what a collection stores."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from setwise_engine.coarse import KINDS, Coarse
from setwise_engine.collection import Collection, Snapshot
from setwise_engine.errors import InvalidInput

__all__ = ["Vectors", "coarse_kinds", "coarse_vectors"]

Vectors = NDArray[np.float32]
Keys = NDArray[np.int64]

_CHUNK = 256  # images: about 13 MB of tokens at 100 tokens of 256 numbers


def coarse_kinds(collection: Collection, kinds: tuple[str, ...] | None) -> tuple[list[Coarse], list[str]]:
    """What pools each kind, the collection's own first, and a sentence for each kind that is left out.

    kinds: the wanted ones; None for all. Left out is what the encoder's basis has too few columns for: its vector would
    be that of another kind. Raises InvalidInput for an unknown kind.
    """
    basis, own = collection.encoder.coarse_basis, collection.settings.coarse
    for kind in kinds or ():
        if kind not in KINDS:
            raise InvalidInput(
                f"coarse vector {kind!r} does not exist; choose one of {', '.join(KINDS)}", field="kinds"
            )
    pools, notes = [collection.coarse], []
    for kind in KINDS if kinds is None else kinds:
        wide = int(kind.rpartition("sqrtcov")[2]) if "sqrtcov" in kind else 0
        if kind == own:
            continue
        if wide > basis.shape[1]:
            notes.append(f"{kind} is left out: the encoder's coarse basis has {basis.shape[1]} columns, not {wide}")
        else:
            pools.append(Coarse(kind, basis))
    return pools, notes


def coarse_vectors(
    snapshot: Snapshot, keys: Keys, pool: Coarse, *, stored: bool, threads: int, progress: Callable[[int], None]
) -> Vectors:
    """The coarse vectors of some images (n, c), float32, in the order of their keys.

    They lie in a temporary file that is mapped, so that their number is bounded by the disk and not by memory. stored:
    taken from the segments; otherwise pooled from the stored tokens. progress: called with how many are done.
    """
    chunks = [keys[first : first + _CHUNK] for first in range(0, len(keys), _CHUNK)]

    def pooled(chunk: Keys) -> Vectors:
        if stored:
            return np.stack([snapshot.coarse(key) for key in chunk.tolist()])
        return pool.pool_many([snapshot.tokens(key) for key in chunk.tolist()])

    done = 0
    with tempfile.TemporaryFile(prefix="setwise-") as file:
        for part in _mapped(pooled, chunks, threads):
            file.write(part.tobytes())
            done += len(part)
            progress(done)
        file.flush()
        vectors: Vectors = np.memmap(file, np.float32, "r", shape=(len(keys), pool.dims))
        return vectors


def _mapped(pooled: Callable[[Keys], Vectors], chunks: list[Keys], threads: int) -> Iterator[Vectors]:
    """The chunks' vectors in their order, so many at work at once and no more of them waiting."""
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(pooled, chunk) for chunk in chunks[: 2 * threads]]
        for following in range(2 * threads, len(chunks) + 2 * threads):
            if not waiting:
                return
            yield waiting.pop(0).result()
            if following < len(chunks):
                waiting.append(pool.submit(pooled, chunks[following]))
