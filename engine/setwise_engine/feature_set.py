"""The feature set: what an image is to the engine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import FeatureError

__all__ = ["FeatureSet", "Grid", "ImageSize", "Stage", "Tokens"]

Tokens = NDArray[np.floating[Any]]
"""Tokens of one image: shape (n, d), float16 or float32."""


class Grid(NamedTuple):
    """Positions of an image's tokens, row by row from the top left."""

    rows: int
    columns: int


class ImageSize(NamedTuple):
    """Pixels of an image after its EXIF orientation was applied."""

    width: int
    height: int


class Stage(StrEnum):
    """How far a set has come: straight from a network, or through a collection's encoder."""

    RAW = "raw"
    ENCODED = "encoded"


@dataclass(frozen=True, slots=True, eq=False)
class FeatureSet:
    """n vectors of d numbers that describe one image; their order carries no meaning but to draw answers.

    tokens: (n, d) float16 or float32, finite; n may be 0, d at least 1. Made C-contiguous.
    stage, model, encoder: where the tokens come from; fingerprints, empty when unknown.
    grid, image_size: where the tokens stood; None when unknown.
    Raises FeatureError when the tokens are not such an array or the grid does not hold n positions.
    """

    tokens: Tokens
    stage: Stage = Stage.RAW
    model: str = ""
    encoder: str = ""
    grid: Grid | None = None
    image_size: ImageSize | None = None

    def __post_init__(self) -> None:
        tokens = np.asarray(self.tokens)
        if tokens.ndim != 2 or tokens.shape[1] == 0:
            raise FeatureError(f"tokens have shape {tokens.shape}; give an array of shape (n, d)", field="tokens")
        if tokens.dtype not in (np.float16, np.float32):
            raise FeatureError(f"tokens have dtype {tokens.dtype}; give float16 or float32", field="tokens")
        if not np.isfinite(tokens).all():
            raise FeatureError("tokens hold NaN or infinity; every number must be finite", field="tokens")
        if self.grid is not None and self.grid.rows * self.grid.columns != len(tokens):
            raise FeatureError(f"grid {tuple(self.grid)} does not hold {len(tokens)} tokens", field="grid")
        object.__setattr__(self, "tokens", np.ascontiguousarray(tokens))

    def __len__(self) -> int:
        """Number of tokens, n."""
        return int(self.tokens.shape[0])

    @property
    def dims(self) -> int:
        """Numbers in a token, d."""
        return int(self.tokens.shape[1])
