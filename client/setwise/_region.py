"""The part of a picture to ask with."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from setwise._errors import InvalidArgumentError
from setwise_proto.v1 import types_pb2

__all__ = ["RegionLike", "parse_region", "region_message"]

RegionLike: TypeAlias = Sequence[float] | NDArray[np.bool_]


def region_message(region: RegionLike | None, name: str = "region") -> types_pb2.Region | None:
    """A region as it travels; None for the whole picture. Raises InvalidArgumentError naming the argument.

    region: (left, top, right, bottom) in pixels of the picture after EXIF rotation, or a (height, width) array of bool.
    """
    if region is None:
        return None
    if isinstance(region, np.ndarray) and region.ndim == 2:
        return types_pb2.Region(mask=_mask(region, name))
    try:
        left, top, right, bottom = map(float, region)
    except (TypeError, ValueError):
        what = "give (left, top, right, bottom) in pixels, or a (height, width) array of bool"
        given = repr(region) if isinstance(region, tuple | list) and len(region) <= 8 else f"a {type(region).__name__}"
        given = f"an array of shape {region.shape}" if isinstance(region, np.ndarray) else given[:200]
        raise InvalidArgumentError(f"{name} is {given}; {what}", field=name) from None
    if not all(map(math.isfinite, (left, top, right, bottom))) or left >= right or top >= bottom:
        what = "give left < right and top < bottom in pixels"
        raise InvalidArgumentError(f"{name} is {(left, top, right, bottom)}; {what}", field=name)
    return types_pb2.Region(box=types_pb2.Box(left=left, top=top, right=right, bottom=bottom))


def parse_region(text: str) -> tuple[float, ...]:
    """A box from the command line. Raises ArgumentTypeError, as argparse expects."""
    try:
        region = tuple(float(edge) for edge in text.split(","))
        region_message(region)
    except ValueError:
        what = "give LEFT,TOP,RIGHT,BOTTOM in pixels, with left < right and top < bottom"
        raise ArgumentTypeError(f"{text!r} is no box; {what}") from None
    return region


def _mask(mask: NDArray[Any], name: str) -> types_pb2.Mask:
    if mask.dtype != np.bool_ or not mask.any():
        what = f"an array of {mask.dtype} that marks {np.count_nonzero(mask)} places"
        advice = "give bool, True inside, for example mask > 0"
        raise InvalidArgumentError(f"{name} is {what}; {advice}", field=name)
    return types_pb2.Mask(rows=mask.shape[0], columns=mask.shape[1], bits=np.packbits(mask).tobytes())
