"""From a file or its bytes to the square that a network sees: the one decode path of indexer and queries."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from setwise_engine.errors import EngineError, ImageError, ImageLimitError, InvalidInput
from setwise_engine.feature_set import ImageSize
from setwise_engine.features._budget import decoding_bytes, pixels_of
from setwise_engine.features._colour import to_rgb
from setwise_engine.features._jpeg import check_scans
from setwise_engine.features._read import DecodeLimits, read_limited
from setwise_engine.features._webp import webp_size

__all__ = ["PREPARATION", "DecodeLimits", "PreparedImage", "prepare_image"]

PREPARATION = "rgb on white, squashed, bicubic, gap 2, version 1"
"""What `prepare_image` does to pixels, in words that enter every model fingerprint: change them with it."""

_GAP = 2
"""Pixels are first averaged in whole blocks while at least this many are left for each wanted one."""

_THUMBNAIL_SIDE = 256
_THUMBNAIL_QUALITY = 85
_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8]}
_Opener = Callable[[IO[bytes]], ImageFile.ImageFile]
_Drafted = tuple[tuple[int, int], tuple[float, float, float, float]]
"""Size of a picture in its file, and the part that it fills of what a smaller one is decoded to."""

# The classes are called directly, not through Image.open: that one warns about large images by a global of the whole
# process (ours are refused by `DecodeLimits`), and it turns the two-picture JPEG files of phones into another format.
_FORMATS: tuple[tuple[bytes, _Opener], ...] = (
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (b"GIF87a", GifImagePlugin.GifImageFile),
    (b"GIF89a", GifImagePlugin.GifImageFile),
    (b"II*\x00", TiffImagePlugin.TiffImageFile),
    (b"MM\x00*", TiffImagePlugin.TiffImageFile),
    (b"II+\x00", TiffImagePlugin.TiffImageFile),
    (b"MM\x00+", TiffImagePlugin.TiffImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
)

# Remarks on damaged metadata would otherwise break into progress bars and server logs; pixels are checked by decoding.
warnings.filterwarnings("ignore", module=r"PIL\.")


@dataclass(frozen=True, slots=True, eq=False)
class PreparedImage:
    """An image ready for a network.

    pixels: uint8 (side, side, 3), RGB, the whole picture squashed to a square.
    image_size: width and height of the original in pixels, after its EXIF orientation.
    thumbnail: JPEG with a long side of at most 256 pixels, empty when it was not asked for.
    """

    pixels: NDArray[np.uint8]
    image_size: ImageSize
    thumbnail: bytes = b""


def _no_check() -> None:
    """The caller waits as long as it takes."""


def prepare_image(
    source: bytes | Path,
    side: int,
    *,
    limits: DecodeLimits | None = None,
    thumbnail: bool = False,
    check: Callable[[], None] = _no_check,
) -> PreparedImage:
    """Decode JPEG, PNG, WebP, BMP, TIFF or the first frame of a GIF, and squash it to `side` x `side` pixels.

    EXIF orientation is applied, transparency is laid on white, 16-bit values are scaled to 8; embedded colour profiles
    are not applied. Equal bytes give equal pixels on one version of Pillow.
    check: called before anything is decoded, and while it waits for memory (`DecodeLimits.budget`); may raise.
    Raises NotFound for a missing file and ImageError for one that is no usable image within the limits; the message
    names the file. Raises InvalidInput when `side` is not positive.
    """
    if side < 1:
        raise InvalidInput(f"image side {side} is not positive; give the model's image size", field="image_size")
    limits = limits or DecodeLimits()
    name = str(source) if isinstance(source, Path) else "image"
    data = read_limited(source, name, limits)
    try:
        picture = _open(data, name, limits)
        size, whole = picture.size, pixels_of(picture)
        # A JPEG is decoded at 1/2, 1/4 or 1/8 of its size: a 12-megapixel photo in a quarter of the time.
        draft = picture.draft(None, (_GAP * side, _GAP * side))
        check()
        with limits.memory(decoding_bytes(picture, whole), name, check):
            return _prepare(picture, (size, draft[1]) if draft else None, name, side, thumbnail)
    except EngineError:
        raise
    except Exception as error:  # Pillow meets hostile bytes with nearly any exception type
        raise ImageError(f"{name} cannot be decoded: it is damaged or cut short ({error})", field="image") from error


def _prepare(
    picture: ImageFile.ImageFile, drafted: _Drafted | None, name: str, side: int, thumbnail: bool
) -> PreparedImage:
    picture.load()
    (width, height), box = drafted or (picture.size, None)  # a TIFF turns itself while loading
    rgb = to_rgb(picture, name)
    turn = _TURNS.get(picture.getexif().get(_ORIENTATION_TAG, 1))
    if turn in _SIDEWAYS:
        width, height = height, width
    square = rgb.resize((side, side), Image.Resampling.BICUBIC, box=box, reducing_gap=_GAP)
    return PreparedImage(
        pixels=np.array(_turned(square, turn), dtype=np.uint8),
        image_size=ImageSize(width, height),
        thumbnail=_thumbnail(rgb, turn) if thumbnail else b"",
    )


def _open(data: bytes, name: str, limits: DecodeLimits) -> ImageFile.ImageFile:
    """The picture, of whose pixels none is decoded yet and which has no more than the limit."""
    for signature, opener in _FORMATS:
        if data.startswith(signature):
            if opener is JpegImagePlugin.JpegImageFile:
                check_scans(data, name)
            picture = opener(BytesIO(data))
            break
    else:
        _check_pixels(webp_size(data, name), name, limits)  # opening one makes room for it
        picture = WebPImagePlugin.WebPImageFile(BytesIO(data))
    _check_pixels(picture.size, name, limits, pixels_of(picture))
    return picture


def _check_pixels(size: tuple[int, int], name: str, limits: DecodeLimits, pixels: int = 0) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"{name} has no pixels ({width}x{height})", field="image")
    if max(pixels, width * height) > limits.max_pixels:
        raise ImageLimitError(
            f"{name} has {width}x{height} pixels, more than the limit of {limits.max_pixels}; scale it down",
            field="image",
            limit="max_image_pixels",
            allowed=limits.max_pixels,
        )


def _turned(picture: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    return picture if turn is None else picture.transpose(turn)


def _thumbnail(rgb: Image.Image, turn: Image.Transpose | None) -> bytes:
    scale = min(1.0, _THUMBNAIL_SIDE / max(rgb.size))
    size = (max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale)))
    small = _turned(rgb.resize(size, Image.Resampling.BICUBIC, reducing_gap=_GAP), turn)
    out = BytesIO()
    small.save(out, "JPEG", quality=_THUMBNAIL_QUALITY)
    return out.getvalue()
