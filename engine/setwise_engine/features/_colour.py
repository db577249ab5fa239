"""Every colour mode that the accepted formats can hold, brought to 8-bit RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image

from setwise_engine.errors import ImageError

__all__ = ["to_rgb"]

_PLAIN = {"1", "L", "RGB", "RGBX", "P", "CMYK", "YCbCr", "HSV"}
_WITH_ALPHA = {"LA", "La", "PA", "RGBA", "RGBa"}
_DEEP_GREY = {"I;16", "I;16L", "I;16B", "I;16N", "I", "F"}


def to_rgb(picture: Image.Image, name: str) -> Image.Image:
    """8-bit RGB of a loaded picture, transparency laid on white.

    Raises ImageError, which calls the picture `name`, for a colour mode that has no plain way to RGB.
    """
    if picture.mode in _WITH_ALPHA or "transparency" in picture.info:
        return _on_white(picture)
    if picture.mode == "RGB":
        return picture
    if picture.mode in _DEEP_GREY:
        return _scaled_grey(picture).convert("RGB")
    if picture.mode in _PLAIN:
        return picture.convert("RGB")
    raise ImageError(f"{name} has the colour mode {picture.mode}; convert it to RGB", field="image")


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode in _DEEP_GREY:  # one transparent 16-bit grey value: no such value is left after scaling
        return _scaled_grey(picture).convert("RGB")
    if picture.mode in {"La", "PA"}:
        picture = picture.convert("LA" if picture.mode == "La" else "RGBA")
    rgba = picture.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")


def _scaled_grey(picture: Image.Image) -> Image.Image:
    """16-bit values scaled by 1/257; 32-bit ones outside a known range stretched from their least to their greatest."""
    values = np.asarray(picture).astype(np.float64)
    values[~np.isfinite(values)] = 0.0
    low, high = float(values.min()), float(values.max())
    if picture.mode == "F" and low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    elif picture.mode != "F" and low >= 0.0 and high <= 65535.0:
        low, high = 0.0, 65535.0
    scaled = (values - low) * (255.0 / ((high - low) or 1.0))
    return Image.fromarray(np.rint(scaled).astype(np.uint8))
