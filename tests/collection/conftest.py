"""A small collection of sets of eight numbers a token, and records to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.encoder import Encoder
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize, Stage

DIMS = 8

Make = Callable[..., ImageRecord]


@pytest.fixture(scope="session")
def tiny() -> Encoder:
    """An encoder that leaves tokens of eight numbers as they are."""
    return Encoder(
        model="", dims_in=DIMS, dims=DIMS, mean=None, projection=None, sigma=1.0, coarse_basis=np.eye(DIMS, dtype="f4")
    )


@pytest.fixture(scope="session")
def settings(tiny: Encoder) -> Settings:
    """Settings of a collection of ready-made sets."""
    return Settings("", 0, "", DIMS, tiny.fingerprint, coarse="sqrtcov32")


@pytest.fixture(scope="session")
def make(tiny: Encoder) -> Make:
    """make(id, seed=..., rows=3, columns=4, **fields): a record with random tokens on a grid."""

    def record(id: str, seed: int = 0, rows: int = 3, columns: int = 4, **fields: Any) -> ImageRecord:
        tokens = np.random.default_rng(seed).standard_normal((rows * columns, DIMS)).astype(np.float16)
        features = FeatureSet(tokens, Stage.ENCODED, "", tiny.fingerprint, Grid(rows, columns), ImageSize(640, 480))
        return ImageRecord(id, features, **fields)

    return record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a collection may be made."""
    return tmp_path / "photos.setwise"


@pytest.fixture
def collection(folder: Path, settings: Settings, tiny: Encoder) -> Iterator[Collection]:
    """An empty collection."""
    with Collection.create(folder, settings, tiny) as made:
        yield made


@pytest.fixture
def scattered(collection: Collection, make: Make) -> Collection:
    """Twenty segments of three images; some replaced or deleted, one without tokens; with metadata and thumbnails."""
    for n in range(20):
        collection.append(
            [
                make(
                    f"{n}-{i}", 10 * n + i, 1, 1 + i, metadata={"n": n, "i": i}, thumbnail=b"j" * i, content_hash=f"{n}"
                )
                for i in range(3)
            ]
        )
    collection.append(
        [
            ImageRecord(
                "empty", FeatureSet(np.zeros((0, 8), np.float16), Stage.ENCODED, "", collection.encoder.fingerprint)
            )
        ]
    )
    collection.append([make(f"{n}-0", 999 + n, metadata={"again": n}) for n in range(0, 20, 6)])
    collection.delete([f"{n}-1" for n in range(0, 20, 3)] + ["3-0", "3-2"])
    return collection


@pytest.fixture
def content() -> Callable[[Collection], dict[str, tuple[Any, ...]]]:
    """content(collection): everything that is stored of every image, but where it lies."""
    return _content


def _content(collection: Collection) -> dict[str, tuple[Any, ...]]:
    with collection.snapshot() as snapshot:
        keys = snapshot.page("", 1000)
        known = collection.sources()
        return {
            image.id: (
                *(repr(image.metadata), image.grid, image.image_size, image.tokens, image.thumbnail),
                *(snapshot.tokens(key).tobytes(), snapshot.coarse(key).tobytes(), snapshot.square(key)),
                known[image.id].content_hash,
            )
            for key, image in zip(keys, snapshot.stored(keys, thumbnails=True), strict=True)
        }


@pytest.fixture
def files() -> Callable[[Collection], list[str]]:
    """files(collection): the names of its segments' files."""
    return lambda collection: sorted(path.name for path in (collection.path / "segments").iterdir())
