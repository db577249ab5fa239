"""What a caller may ask with, and the one place where it becomes a message.

    str, Path            path to an image file, sent as it is
    bytes                an encoded image file, sent as it is
    PIL image            its pixels, sent without loss as PNG
    numpy array          uint8 pixels (h, w), (h, w, 3) or (h, w, 4), sent without loss as PNG
    setwise.Id           an image that the collection stores
    setwise.FeatureSet   tokens of a network of your own

Nothing is guessed: a string is a path and nothing else, an array is pixels and nothing else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageFile, ImageOps

from setwise._errors import InvalidArgumentError, NotFoundError, PermissionDeniedError, SetwiseError
from setwise._features import FeatureSet, Id, Stage
from setwise._limits import beyond, check_count
from setwise._region import RegionLike, region_message
from setwise._values import Limits
from setwise_proto.v1 import types_pb2

__all__ = ["PictureLike", "Query", "QueryLike", "features_message", "picture_bytes", "prepare"]

PictureLike: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | PILImage.Image | NDArray[np.uint8]
QueryLike: TypeAlias = PictureLike | Id | FeatureSet

_DTYPES = {np.dtype(np.float16): types_pb2.DTYPE_FLOAT16, np.dtype(np.float32): types_pb2.DTYPE_FLOAT32}
_STAGES = {Stage.RAW: types_pb2.STAGE_RAW, Stage.ENCODED: types_pb2.STAGE_ENCODED}
_PNG_MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"}


@dataclass(frozen=True, slots=True, repr=False)
class Query:
    """What was asked with, kept so that answers can be drawn.

    label: a short name for people: file name, id, or kind of value.
    picture: the file's path or its bytes; None for an id or a feature set.
    id: the stored image's id; None for anything else.
    """

    label: str
    picture: Path | bytes | None = None
    id: str | None = None

    def __repr__(self) -> str:
        return f"<Query {self.label!r}>"


def prepare(
    query: QueryLike, limits: Limits, region: RegionLike | None = None, name: str = "region"
) -> tuple[types_pb2.Query, Query]:
    """The message for a query or the region of it, and what answers remember of it. name: of the region's argument.

    limits: the server's; nothing is encoded that goes beyond them. Raises SetwiseError naming what is wrong.
    """
    part = region_message(region, name)
    message, asked = _whole(query, limits)
    if part is not None:
        places = part.mask.rows * part.mask.columns
        check_count(places, limits, "max_image_pixels", name, f"{name} is a mask of {places:,} places")
        message.region.CopyFrom(part)
    return message, asked


def _whole(query: QueryLike, limits: Limits) -> tuple[types_pb2.Query, Query]:
    match query:
        case Id():
            return types_pb2.Query(id=query.value), Query(query.value, id=query.value)
        case FeatureSet():
            return types_pb2.Query(features=features_message(query, limits)), Query(repr(query))
        case _:
            data, asked = picture_bytes(query, limits)
            return types_pb2.Query(image=data), asked


def picture_bytes(picture: PictureLike, limits: Limits, field: str = "query") -> tuple[bytes, Query]:
    """An encoded image file, from any way to give a picture, and what is remembered of it.

    limits: the server's. field: names the argument in errors. Raises SetwiseError.
    """
    max_bytes = limits.max_image_bytes
    match picture:
        case str() | os.PathLike():
            path = _check_path(picture, max_bytes, field)
            return _read(path, field), Query(path.name, path)
        case bytes() | bytearray() | memoryview():
            data, label = bytes(picture), "image bytes"
        case PILImage.Image():
            _check_pixels(picture.width * picture.height, limits, field)
            data, label = _png(picture, field), f"{picture.width}x{picture.height} picture"
        case np.ndarray():
            image = _from_array(picture, field)
            _check_pixels(image.width * image.height, limits, field)
            data, label = _png(image, field), f"{picture.shape[1]}x{picture.shape[0]} array"
        case _:
            raise InvalidArgumentError(_advice(picture, field), field=field)
    _check_size(len(data), label, max_bytes, field)
    return data, Query(label, data)


def features_message(features: FeatureSet, limits: Limits, field: str = "query") -> types_pb2.FeatureSet:
    """A feature set as it travels: little-endian, row-major. Raises InvalidArgumentError for more tokens than the
    server takes."""
    tokens = features.tokens
    check_count(len(tokens), limits, "max_tokens", field, f"{features!r} has {len(tokens):,} tokens")
    data = tokens.astype(tokens.dtype.newbyteorder("<"), copy=False).tobytes()
    message = types_pb2.FeatureSet(
        tokens=types_pb2.Tensor(dtype=_DTYPES[tokens.dtype], shape=tokens.shape, data=data),
        stage=_STAGES[features.stage],
        model=features.model,
        encoder=features.encoder,
    )
    if features.grid:
        message.grid.rows, message.grid.columns = features.grid
    if features.image_size:
        message.image_size.width, message.image_size.height = features.image_size
    return message


def _check_path(query: str | os.PathLike[str], max_bytes: int, field: str) -> Path:
    path = Path(query)
    if "://" in str(query):
        raise InvalidArgumentError(f"{query} is a URL; download the picture and pass its bytes", field=field)
    try:
        size = path.stat().st_size
        is_directory = path.is_dir()
    except (FileNotFoundError, NotADirectoryError):
        hint = f"; to ask with a stored image write setwise.Id({str(query)!r}), or --id on the command line"
        hint = hint if field == "query" else ""
        raise NotFoundError(f"no file {str(path)!r} (looked in {Path.cwd()}){hint}", field=field) from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error, field) from error
    if is_directory:
        raise InvalidArgumentError(f"{str(path)!r} is a directory; give its files, one by one", field=field)
    _check_size(size, str(path), max_bytes, field)
    return path


def _read(path: Path, field: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error, field) from error


def _unreadable(path: Path, error: OSError | ValueError, field: str) -> SetwiseError:
    kind = PermissionDeniedError if isinstance(error, PermissionError) else InvalidArgumentError
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return kind(f"cannot read {str(path)!r}: {why}", field=field)


def _check_size(size: int, label: str, max_bytes: int, field: str) -> None:
    if size == 0:
        raise InvalidArgumentError(
            f"{label} is empty (0 bytes); give an image file", reason="INVALID_IMAGE", field=field
        )
    if max_bytes and size > max_bytes:
        advice = "make the picture smaller (2000 pixels on the long side are plenty) or save it as JPEG"
        message = f"{label} takes {size:,} bytes and the server accepts {max_bytes:,}; {advice}"
        raise beyond(message, "max_image_bytes", max_bytes, field)


def _check_pixels(pixels: int, limits: Limits, field: str) -> None:
    check_count(pixels, limits, "max_image_pixels", field, f"the picture has {pixels:,} pixels")


def _png(image: PILImage.Image, field: str) -> bytes:
    # A file opened by PIL still lies as the camera held it; an image that was made or changed is meant as it is.
    upright = ImageOps.exif_transpose(image) if isinstance(image, ImageFile.ImageFile) else image
    if 0 in upright.size:
        raise InvalidArgumentError(f"the picture has no pixels (size {upright.size})", field=field)
    if upright.mode == "F":
        raise InvalidArgumentError("the picture holds floats; convert it to 8-bit pixels, mode 'L'", field=field)
    kept = upright if upright.mode in _PNG_MODES else upright.convert("RGBA" if "a" in upright.mode else "RGB")
    buffer = BytesIO()
    kept.save(buffer, "PNG", compress_level=1, icc_profile=None)
    return buffer.getvalue()


def _from_array(array: NDArray[Any], field: str) -> PILImage.Image:
    shape_fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype == np.uint8 and shape_fits and array.size:
        return PILImage.fromarray(np.ascontiguousarray(array))
    what = f"an array of shape {array.shape} and dtype {array.dtype}"
    if array.ndim == 2 and array.dtype.kind == "f":
        raise InvalidArgumentError(
            f"{what} is no picture; if it holds tokens, wrap it: setwise.FeatureSet(array)", field=field
        )
    advice = "give uint8 pixels of shape (h, w), (h, w, 3) or (h, w, 4), from 0 to 255"
    raise InvalidArgumentError(f"{what} is no picture; {advice}", field=field)


def _advice(given: object, field: str) -> str:
    kind, ways = type(given).__name__, "a path, bytes, a PIL image, an array"
    if field != "query":
        return f"a {kind} is no image to store; give {ways} or a FeatureSet"
    if isinstance(given, list | tuple):
        return "a list is not one query; use search_many for several"
    return f"cannot ask with a {kind}; give {ways}, an Id or a FeatureSet"
