"""A small real collection: two segments, exact ties, images deleted and replaced, tokens of 24 numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.encoder import Encoder, fit_encoder
from setwise_engine.feature_set import FeatureSet, Stage

DIMS = 24
IMAGES = 70  # that are live at the end


@pytest.fixture(scope="session")
def plain_encoder() -> Encoder:
    """An encoder that keeps ready-made tokens, with a coarse basis of 24 columns."""
    rng = np.random.default_rng(7)
    return fit_encoder([rng.standard_normal((40, DIMS)).astype(np.float32) for _ in range(8)], model="", dims=None)


def sets(seed: int, count: int) -> list[np.ndarray]:
    """Sets of 5 to 8 tokens that resemble each other more or less; every tenth is a shuffled copy of an earlier one."""
    rng = np.random.default_rng(seed)
    themes = rng.standard_normal((4, 8, DIMS))
    made: list[np.ndarray] = []
    for place in range(count):
        tokens = (themes[place % 4] + rng.choice([0.3, 1.0]) * rng.standard_normal((8, DIMS)))[: rng.integers(5, 9)]
        tokens = rng.permutation(made[place // 2]) if place % 10 == 9 else tokens
        made.append(tokens.astype(np.float16))
    return made


def record(id: str, tokens: np.ndarray, encoder: Encoder) -> ImageRecord:
    features = FeatureSet(tokens, Stage.ENCODED, "", encoder.fingerprint)
    return ImageRecord(id, features, {"half": int(id[-1]) % 2})


def fill(folder: Path, encoder: Encoder, *, coarse: str = "sqrtcov16") -> Collection:
    settings = Settings("", 0, "", DIMS, encoder.fingerprint, coarse=coarse, thumbnails=False)
    collection = Collection.create(folder, settings, encoder)
    records = [record(f"{place:03}", tokens, encoder) for place, tokens in enumerate(sets(1, 73))]
    collection.append(records[:40])
    collection.append(records[40:])
    collection.append([record("005", sets(2, 1)[0], encoder)])
    collection.delete(["001", "041", "072"])
    return collection


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory, plain_encoder: Encoder) -> Iterator[Collection]:
    """Nobody writes to it."""
    with fill(tmp_path_factory.mktemp("recall") / "small.setwise", plain_encoder) as made:
        yield made


@pytest.fixture
def writable(tmp_path: Path, plain_encoder: Encoder) -> Iterator[Collection]:
    """The same, for a test of its own."""
    with fill(tmp_path / "own.setwise", plain_encoder) as made:
        yield made
