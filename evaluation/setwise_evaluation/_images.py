"""Images of many kinds through the engine's one decode path, in batches, with every failure told by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import ImageError, InvalidInput, NotFound
from setwise_engine.features import DecodeLimits, prepare_image

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ImageSource", "LeftOut", "OnError", "Progress", "squares"]

ImageSource: TypeAlias = "str | Path | bytes | Image.Image | NDArray[np.uint8]"
"""A path, the bytes of a file, a PIL image, or uint8 pixels (h, w), (h, w, 3) RGB or (h, w, 4) RGBA."""

Progress = Callable[[int, int], None]
"""Called with images done and all images, after each batch."""

OnError = Literal["raise", "leave-out"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An image that could not be used: its place in the input, and why."""

    index: int
    reason: str


def squares(
    images: Sequence[ImageSource],
    side: int,
    *,
    batch: int,
    on_error: OnError,
    progress: Progress | None,
    limits: DecodeLimits | None = None,
) -> Iterator[tuple[list[int], NDArray[np.uint8], list[LeftOut]]]:
    """Batches of decoded images: places in the input, pixels (b, side, side, 3), and what was left out of this batch.

    b is below `batch` where images were left out, and may be 0. Raises InvalidInput for a batch below 1, and what
    `prepare_image` raises, with the image's name or place in front, unless `on_error` is "leave-out".
    """
    if batch < 1:
        raise InvalidInput(f"batch is {batch}; give at least 1 image a forward pass", field="batch")
    if on_error not in {"raise", "leave-out"}:
        raise InvalidInput(f"on_error is {on_error!r}; use 'raise' or 'leave-out'", field="on_error")
    for start in range(0, len(images), batch):
        places, pixels, left_out = [], [], []
        for index in range(start, min(start + batch, len(images))):
            try:
                pixels.append(_decoded(images[index], index, side, limits))
                places.append(index)
            except (ImageError, NotFound) as error:
                if on_error == "raise":
                    raise
                left_out.append(LeftOut(index, str(error)))
        empty = np.zeros((0, side, side, 3), dtype=np.uint8)
        yield places, np.stack(pixels) if pixels else empty, left_out
        if progress is not None:
            progress(min(start + batch, len(images)), len(images))


def _decoded(image: ImageSource, index: int, side: int, limits: DecodeLimits | None) -> NDArray[np.uint8]:
    if isinstance(image, (str, Path)):
        return prepare_image(Path(image), side, limits=limits).pixels
    try:
        data = image if isinstance(image, bytes) else _lossless(image)
        return prepare_image(data, side, limits=limits).pixels
    except ImageError as error:
        raise ImageError(f"image number {index}: {error}", field=error.field) from error


def _lossless(image: Any) -> bytes:
    """A PIL image or an array as the bytes of a PNG file, so that it takes the way that every file takes."""
    from PIL import Image, ImageOps

    try:
        picture = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))
        out = BytesIO()
        ImageOps.exif_transpose(_storable(picture)).save(out, "PNG", compress_level=1)
    except (TypeError, ValueError, OSError, SystemError) as error:
        raise ImageError(f"cannot be used as an image ({error}); give uint8 pixels (h, w, 3)", field="image") from error
    return out.getvalue()


def _storable(picture: Image.Image) -> Image.Image:
    """CMYK, YCbCr, Lab and HSV, which PNG cannot hold, as RGB."""
    return picture.convert("RGB") if picture.mode in {"CMYK", "YCbCr", "LAB", "HSV"} else picture
