"""Real sets for the kernel's benchmarks: composed scenes at several sizes and widths, token norms kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _protocols import DATABASE_SEED, PROTOCOLS, QUERY_SEED
from _shared import Sets, raw, say, shipped_encoder
from numpy.typing import NDArray

from setwise_engine.coarse import DEFAULT_COARSE, Coarse
from setwise_engine.encoder import Encoder, fit_encoder
from setwise_engine.features import load_extractor
from setwise_engine.matching import Block, affinity, block_of, gate, key_of

__all__ = ["IMAGE_SIZES", "Shape", "Workload", "block", "keys", "pages", "pairs", "parse_shape", "workload"]

RAW = 1280
IMAGE_SIZES = {49: 224, 100: 320, 196: 448, 256: 512}
"""Side in pixels of the square that the default model turns into so many tokens."""

_QUERIES = 20
_FIT_IMAGES = 500
_PAGE_SIZE, _PAGE, _WORDS = 1056, 1030, 32

Shape = tuple[int, int]
"""Tokens of a set, numbers of a token."""


@dataclass(frozen=True, eq=False)
class Workload:
    """database: (N, n, d), queries: (q, n, d), float16. order: (q, N) the coarse stage's order, best first."""

    name: str
    database: Sets
    queries: Sets
    order: NDArray[np.int64]

    @property
    def shape(self) -> Shape:
        """(n, d)."""
        return self.database.shape[1], self.database.shape[2]


def parse_shape(text: str) -> Shape:
    """ "49,128" -> (49, 128). Raises ValueError for another form or a size that no image gives."""
    tokens, dims = map(int, text.split(","))
    if tokens not in IMAGE_SIZES:
        raise ValueError(f"{tokens} tokens; choose one of {sorted(IMAGE_SIZES)}")
    return tokens, dims


def workload(work: Path, protocol: str, shape: Shape, images: int, queries: int) -> Workload:
    """Scenes of one protocol as sets of this shape, kept in files.

    1280 numbers are the network's own; fewer come from an encoder fitted on the database (at most 500 of its images),
    as `setwise index --fit` does: centred, first direction dropped, rotated, norms kept.
    """
    tokens, dims = shape
    stored = max(queries, _QUERIES)
    stem = work / f"kernel-{protocol}-{tokens}x{dims}-{images}-{stored}"
    store = stem.with_suffix(".npz")
    if not store.exists():
        split, query_split = PROTOCOLS[protocol]
        size = IMAGE_SIZES[tokens]
        database = raw(work, split, images, DATABASE_SEED, image_size=size)
        asked = raw(work, query_split, stored, QUERY_SEED, image_size=size)
        say(f"encoding {stem.name}")
        encoder = _fitted(database, size, dims)
        np.savez(store, **_encoded(encoder, database, asked))
    with np.load(store) as kept:
        return Workload(protocol, kept["database"], kept["queries"][:queries], kept["order"][:queries])


def _fitted(database: Sets, image_size: int, dims: int) -> Encoder:
    sample = [database[i].astype(np.float32) for i in range(0, len(database), max(1, len(database) // _FIT_IMAGES))]
    model = load_extractor(image_size=image_size).info.fingerprint
    return fit_encoder(sample[:_FIT_IMAGES], model=model, dims=None if dims == RAW else dims)


def _encoded(encoder: Encoder, database: Sets, queries: Sets) -> dict[str, NDArray[np.generic]]:
    """Sets as a collection stores them, and the order in which the default coarse vector recalls them."""
    sets, asked = encoder.encode(np.asarray(database)), encoder.encode(np.asarray(queries))
    coarse = Coarse(DEFAULT_COARSE, encoder.coarse_basis)
    likeness = coarse.pool_many(list(asked)) @ coarse.pool_many(list(sets)).T
    return {"database": sets, "queries": asked, "order": np.argsort(-likeness, axis=1, kind="stable")}


def pairs(data: Workload, count: int, *, among: int = 50, seed: int = 0) -> list[NDArray[np.float64]]:
    """Affinities of `count` pairs: queries in turn, each with random ones of its first `among` candidates."""
    rng = np.random.default_rng(seed)
    turns = range(count)
    chosen = [data.order[i % len(data.queries), rng.integers(min(among, len(data.database)))] for i in turns]
    return [affinity(data.queries[i % len(data.queries)], data.database[c]) for i, c in enumerate(chosen)]


def pages(work: Path, count: int) -> list[NDArray[np.float64]]:
    """Affinities of 32 tokens with 1030: the first ones of a small query against those of a large scene, encoded.

    The sizes of a short text query and a page image in late-interaction document search; the features are the scenes'.
    """
    split, query_split = PROTOCOLS["instance"]
    large = raw(work, split, count, DATABASE_SEED, image_size=_PAGE_SIZE)[:, :_PAGE]
    small = raw(work, query_split, count, QUERY_SEED, image_size=IMAGE_SIZES[49])[:, :_WORDS]
    encoder = shipped_encoder()
    return [affinity(q, x) for q, x in zip(encoder.encode(small), encoder.encode(large), strict=True)]


def block(sets: Sets) -> Block:
    """The sets as one block, with the int8 gate that a collection stores."""
    plain = block_of(list(sets), sets.shape[-1])
    return Block(plain.tokens, plain.offsets, plain.squares, gate(plain.tokens, plain.offsets))


def keys(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keys of these rows of block 0."""
    return order.astype(np.int64) + key_of(0, 0)
