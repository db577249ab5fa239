"""Raw activations of images, as the paper's analysis takes them: no encoder, no centring, no rounding to fp16.

Source: Wald et al., "Decoupling Semantic Similarity from Spatial Alignment for Neural Networks", NeurIPS 2024: the
last feature map (c, h, w) of an image is a set of h*w tokens of c numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_engine.features import DEFAULT_MODEL, Extractor, load_extractor
from setwise_evaluation._images import ImageSource, LeftOut, OnError, Progress, squares

__all__ = ["Activations", "activations"]


@dataclass(frozen=True, slots=True, eq=False)
class Activations:
    """The tokens of n images by one network.

    tokens: (n, t, d) float32, t = rows * columns of `grid`, row by row from the top left. grid: (rows, columns).
    model: its name. fingerprint: of weights, preprocessing and choice of tokens (`ModelInfo.fingerprint`).
    kept: (n) places in the input that the rows of `tokens` stand for; all of them unless some were left out.
    left_out: images that could not be used, with reasons; empty unless `on_error` was "leave-out".
    """

    tokens: NDArray[np.float32]
    grid: tuple[int, int]
    model: str
    fingerprint: str
    kept: tuple[int, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def maps(self) -> NDArray[np.float32]:
        """The same numbers as feature maps (n, d, rows, columns), a view."""
        n, _, dims = self.tokens.shape
        return self.tokens.reshape(n, *self.grid, dims).transpose(0, 3, 1, 2)


def activations(
    images: Sequence[ImageSource],
    *,
    model: str | Extractor = DEFAULT_MODEL,
    image_size: int | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    batch: int = 16,
    on_error: OnError = "raise",
    progress: Progress | None = None,
) -> Activations:
    """Tokens (n, t, d) float32 of images, through the decode path and the networks of the index and the queries.

    images: paths, bytes of image files, PIL images or uint8 arrays (h, w[, 3 or 4]), mixed as you like. A picture given
    as pixels is squashed like a file; a JPEG *file* may be decoded at a fraction of its size on the way
    (docs/models.md), so that its pixels given as an array can differ from it in the last digits.
    model, image_size, weights, device: as `setwise_engine.features.load_extractor` takes them, or, as `model`, an
    extractor that is loaded already. batch: images a forward pass. progress: called with images done and all images.
    on_error: "raise", or "leave-out" to go on without images that cannot be decoded, which `left_out` then names.

    Deterministic: the same images, model and machine give the same tokens. The batch size and the number of torch
    threads change how sums are split, hence the last digits of float32, and nothing else: no layer mixes images.
    Raises ImageError or NotFound, naming the image, InvalidInput for a bad option, and what `load_extractor` raises.
    """
    extractor = _extractor(model, image_size, weights, device)
    info = extractor.info
    tokens = np.empty((len(images), info.tokens, info.dims), dtype=np.float32)
    kept: list[int] = []
    left_out: list[LeftOut] = []
    for places, pixels, refused in squares(images, info.image_size, batch=batch, on_error=on_error, progress=progress):
        tokens[len(kept) : len(kept) + len(places)] = extractor.extract(pixels)
        kept += places
        left_out += refused
    return Activations(
        tokens=tokens[: len(kept)],
        grid=(info.grid.rows, info.grid.columns),
        model=info.name,
        fingerprint=info.fingerprint,
        kept=tuple(kept),
        left_out=tuple(left_out),
    )


def _extractor(model: str | Extractor, image_size: int | None, weights: str | Path | None, device: str) -> Extractor:
    if isinstance(model, str):
        return load_extractor(model, image_size=image_size, weights=weights, device=device)
    if image_size is not None or weights is not None:
        raise InvalidInput(
            f"{model.info.name} is loaded already, with its image size and weights; give its name to choose others",
            field="model",
        )
    return model
