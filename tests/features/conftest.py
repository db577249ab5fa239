"""Small pictures and ways to write them."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

Encode = Callable[..., bytes]


@pytest.fixture
def scene() -> Image.Image:
    """90 x 60 pixels, red, green, blue and white quarters: every turn and flip of it looks different."""
    pixels = np.zeros((60, 90, 3), dtype=np.uint8)
    pixels[:30, :45, 0] = pixels[:30, 45:, 1] = pixels[30:, :45, 2] = 255
    pixels[30:, 45:] = 255
    return Image.fromarray(pixels)


@pytest.fixture
def encoded() -> Encode:
    """`encoded(picture, "PNG")`: the bytes of a file."""

    def encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
        out = BytesIO()
        picture.save(out, kind, **options)
        return out.getvalue()

    return encode
