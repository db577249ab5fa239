"""Networks are found by name; a new one is a decorated function."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput, NotFound
from setwise_engine.feature_set import Grid
from setwise_engine.features import DEFAULT_MODEL, Extractor, ModelInfo, Request, load_extractor, model_names, register
from setwise_engine.features import _registry as registry


class MeanColour:
    """The smallest network: one token, the mean colour."""

    def __init__(self, size: int) -> None:
        self.info = ModelInfo("mean-colour", size, Grid(1, 1), 3, "", f"mean-colour@{size}:0")

    def extract(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(pixels.mean(axis=(1, 2))[:, None], dtype=np.float32)


@pytest.fixture
def mean_colour() -> Iterator[None]:
    @register("mean-colour")
    def load(request: Request) -> Extractor:
        return MeanColour(request.image_size or 8)

    yield
    del registry._loaders["mean-colour"]


def test_names() -> None:
    assert DEFAULT_MODEL == "efficientnet-lite0"
    assert model_names() == [
        "efficientnet-lite0",
        "efficientnet-lite1",
        "efficientnet-lite2",
        "timm:<name>",
        "torchvision:<name>",
    ]


@pytest.mark.usefixtures("mean_colour")
def test_a_new_network_is_a_decorated_function() -> None:
    assert "mean-colour" in model_names()
    extractor = load_extractor("mean-colour", image_size=4)
    assert extractor.info.image_size == 4
    assert extractor.extract(np.full((2, 4, 4, 3), 7, dtype=np.uint8)).tolist() == [[[7.0] * 3]] * 2


@pytest.mark.parametrize(
    "name", ["", "resnet50", "torchvision", "torchvision:", "efficientnet-lite0:x", "hub:resnet50"]
)
def test_unknown_names_are_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(
        NotFound, match=f"there is no model '{name}'; choose one of efficientnet-lite0, .*, timm:<name>"
    ):
        load_extractor(name)


def test_sizes_must_be_positive() -> None:
    with pytest.raises(InvalidInput, match="image size 0 is not positive"):
        load_extractor(image_size=0)


def test_decoding_does_not_wait_for_torch_to_be_imported() -> None:
    code = "import sys, setwise_engine.features; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
