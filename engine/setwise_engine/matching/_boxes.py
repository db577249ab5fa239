"""Where tokens stand in a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_engine.feature_set import Grid, ImageSize
from setwise_engine.matching._types import Indices

__all__ = ["token_boxes"]


def token_boxes(grid: Grid, image_size: ImageSize, tokens: Indices) -> NDArray[np.float32]:
    """Boxes of tokens in pixels of the EXIF-rotated original: (p, 4) float32, left, top, right, bottom.

    tokens: (p,) indices in [0, rows * columns), row by row from the top left. The whole image was squashed to the
    model's square, so the grid's cells divide its width and height evenly. Raises InvalidInput for a token outside the
    grid.
    """
    indices = np.asarray(tokens)
    if indices.size and (indices.min() < 0 or indices.max() >= grid.rows * grid.columns):
        raise InvalidInput(
            f"a token lies outside the grid of {grid.rows} x {grid.columns}; indices start at 0", field="tokens"
        )
    row, column = np.divmod(indices, max(1, grid.columns))
    width, height = image_size.width / max(1, grid.columns), image_size.height / max(1, grid.rows)
    edges = (column * width, row * height, (column + 1) * width, (row + 1) * height)
    return np.stack(edges, axis=-1).astype(np.float32)
