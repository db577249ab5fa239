"""A small collection whose images have different sizes, some of them deleted or replaced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.encoder import Encoder
from setwise_engine.feature_set import FeatureSet, Grid, Stage

DIMS = 8


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    """Images 0 to 8 of 2 + n mod 3 tokens, without 4; 5 was replaced; in segments, from the last to the first."""
    encoder = Encoder(
        model="", dims_in=DIMS, dims=DIMS, mean=None, projection=None, sigma=1.0, coarse_basis=np.eye(DIMS, dtype="f4")
    )
    settings = Settings("", 0, "", DIMS, encoder.fingerprint, coarse="sqrtcov32")

    def record(name: int, seed: int) -> ImageRecord:
        tokens = np.random.default_rng(seed).standard_normal((2 + name % 3, DIMS)).astype(np.float16)
        return ImageRecord(str(name), FeatureSet(tokens, Stage.ENCODED, "", encoder.fingerprint, Grid(1, len(tokens))))

    with Collection.create(tmp_path / "photos.setwise", settings, encoder) as made:
        made.append([record(name, name) for name in range(8, 3, -1)])
        made.append([record(name, name) for name in range(3, -1, -1)])
        made.append([record(5, 50)])
        made.delete(["4"])
        yield made
