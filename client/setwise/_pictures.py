"""Opening pictures to draw them: upright, RGB, small enough to work with."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageOps

from setwise._errors import InvalidArgumentError, NotFoundError

__all__ = ["Picture", "check_picture_file", "fit", "open_picture"]

Picture: TypeAlias = str | os.PathLike[str] | bytes | PILImage.Image | NDArray[np.uint8]

_LONGEST = 1600
"""Pixels of the longest side that drawing ever needs."""


def check_picture_file(path: Path) -> None:
    """Raise InvalidArgumentError when no picture can be written there: before the work, not after it."""
    known = PILImage.registered_extensions()
    if path.suffix.lower() not in known or known[path.suffix.lower()] not in PILImage.SAVE:
        raise InvalidArgumentError(f"{path} has no suffix of a picture format; name it .png or .jpg", field="out")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder} to write {path.name} to; make it first", field="out")


def open_picture(source: Picture, what: str) -> PILImage.Image:
    """A picture as people see it: EXIF orientation applied, alpha on white, RGB, the long side at most 1600 pixels.

    what: names the picture in errors. Raises NotFoundError or InvalidArgumentError.
    """
    if isinstance(source, np.ndarray):
        return _plain(PILImage.fromarray(source))
    if isinstance(source, PILImage.Image):
        return _plain(source)
    try:
        with PILImage.open(BytesIO(source) if isinstance(source, bytes) else Path(source)) as picture:
            picture.draft("RGB", (_LONGEST, _LONGEST))
            return _plain(picture)
    except FileNotFoundError as error:
        raise NotFoundError(f"cannot draw {what}: no file {str(error.filename)!r}", field=what) from error
    except OSError as error:
        raise InvalidArgumentError(f"cannot draw {what}: {error}", field=what) from error


def fit(picture: PILImage.Image, width: int, height: int) -> PILImage.Image:
    """The whole picture at the largest size that fits into a box; small ones are enlarged."""
    scale = min(width / picture.width, height / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, PILImage.Resampling.LANCZOS)


def _plain(picture: PILImage.Image) -> PILImage.Image:
    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I"):
        upright = _from_deep(np.asarray(upright))
    upright.thumbnail((_LONGEST, _LONGEST), PILImage.Resampling.LANCZOS)
    if "A" not in upright.getbands() and "transparency" not in upright.info:
        return upright.convert("RGB")
    layer = upright.convert("RGBA")
    white = PILImage.new("RGBA", layer.size, "white")
    return PILImage.alpha_composite(white, layer).convert("RGB")


def _from_deep(pixels: NDArray[Any]) -> PILImage.Image:
    """16-bit grey as 8-bit grey."""
    return PILImage.fromarray((np.clip(pixels, 0, 65535) / 257).round().astype(np.uint8))
