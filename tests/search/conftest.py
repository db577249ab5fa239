"""Small collections of real kinds of sets: of many sizes, with zero tokens, zero sets and exact ties."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.encoder import Encoder, fit_encoder
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize, Stage
from setwise_engine.search import Searcher

DIMS = 8

MakeSearcher = Callable[[dict[str, np.ndarray]], Searcher]


@pytest.fixture(scope="session")
def plain_encoder() -> Encoder:
    """An encoder that keeps ready-made tokens as they are."""
    rng = np.random.default_rng(7)
    return fit_encoder([rng.standard_normal((10, DIMS)).astype(np.float32) for _ in range(8)], model="", dims=None)


@pytest.fixture
def make_searcher(tmp_path: Path, plain_encoder: Encoder) -> Iterator[MakeSearcher]:
    """Searchers over collections of the given sets: id to tokens (n, DIMS)."""
    made: list[Collection] = []

    def make(sets: dict[str, np.ndarray]) -> Searcher:
        settings = Settings("", 0, "", DIMS, plain_encoder.fingerprint, thumbnails=False)
        collection = Collection.create(tmp_path / f"{len(made)}.setwise", settings, plain_encoder)
        made.append(collection)
        collection.append([record(id, tokens, plain_encoder) for id, tokens in sets.items()])
        return Searcher(collection)

    yield make
    for collection in made:
        collection.close()


def record(id: str, tokens: np.ndarray, encoder: Encoder) -> ImageRecord:
    """A stored image with a grid of one column and metadata that names it."""
    features = FeatureSet(
        tokens.astype(np.float16), Stage.ENCODED, "", encoder.fingerprint, Grid(len(tokens), 1), ImageSize(640, 480)
    )
    return ImageRecord(id, features, {"name": id, "tokens": len(tokens)})


@pytest.fixture
def scattered() -> dict[str, np.ndarray]:
    """Forty sets of 0 to 12 tokens: neighbours of each other, copies, shuffles, zero sets and zero tokens."""
    return scatter(0, 40)


def scatter(seed: int, count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((12, DIMS))
    sets: list[np.ndarray] = []
    for i in range(count):
        tokens = (common + rng.choice([0.1, 1.0, 3.0]) * rng.standard_normal((12, DIMS)))[: rng.integers(0, 13)]
        tokens = np.round(tokens * 4) / 4 if i % 3 == 0 else tokens
        if i % 7 == 0:
            tokens[::2] = 0.0
        if sets and i % 5 == 0:
            tokens = rng.permutation(sets[rng.integers(len(sets))])
        sets.append(tokens.astype(np.float16))
    return {f"{i:03}": tokens for i, tokens in enumerate(sets)}
