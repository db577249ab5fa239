"""What every network looks like to the rest of the engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from setwise_engine.feature_set import Grid

__all__ = ["Classifier", "Extractor", "ModelInfo", "Request"]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A loaded network: two with equal fingerprints give the same tokens, up to rounding.

    name: as `load_extractor` takes it. image_size: side of the square it sees, in pixels.
    grid: where its tokens stand. dims: numbers in a token, D. weights: SHA-256 of the weights, hexadecimal.
    fingerprint: "<name>@<image size>:<16 hexadecimal digits>" over weights, preprocessing and the choice of tokens;
    device and precision do not enter.
    """

    name: str
    image_size: int
    grid: Grid
    dims: int
    weights: str
    fingerprint: str

    @property
    def tokens(self) -> int:
        """Number of tokens of one image, n."""
        return self.grid.rows * self.grid.columns


class Extractor(Protocol):
    """A network that gives one token for each position of its last feature map."""

    @property
    def info(self) -> ModelInfo:
        """What was loaded."""
        ...

    def extract(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Tokens of a batch: (b, s, s, 3) uint8 RGB to (b, n, D) float32, b >= 0, row by row from the top left.

        Raises InvalidInput for another shape or dtype.
        """
        ...


@runtime_checkable
class Classifier(Extractor, Protocol):
    """An extractor whose network also names what it sees, as all torch networks of `load_extractor` do."""

    def classify(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Tokens (b, n, D), as `extract` gives them, and logits (b, classes), both float32, from one forward pass.

        Raises what `extract` raises, and InvalidInput for a network without a classifier.
        """
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked of `load_extractor`; `variant` is what follows the colon of the name."""

    name: str
    variant: str
    image_size: int | None
    weights: str | Path | None
    device: str
    bf16: bool
