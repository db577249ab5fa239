"""The part of an image that a query asks with, from the wire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from setwise_engine.errors import InvalidInput
from setwise_engine.search import Region
from setwise_proto.v1 import types_pb2 as pb
from setwise_server._errors import LimitError, at
from setwise_server.settings import Limits

__all__ = ["region_from_proto", "regions_at"]


def region_from_proto(query: pb.Query, limits: Limits) -> Region | None:
    """The region of a query; None when it asks with all of it. Raises InvalidInput naming the field below `region`."""
    if not query.HasField("region"):
        return None
    with at("region"):
        kind = query.region.WhichOneof("shape")
        if kind is None:
            raise InvalidInput("the region is empty; give a box or a mask, or leave it out")
        if kind == "mask":
            return Region(mask=_mask(query.region.mask, limits))
        box = query.region.box
        return Region(box=(box.left, box.top, box.right, box.bottom))


@contextmanager
def regions_at(paths: Mapping[str, str]) -> Iterator[None]:
    """Say where in the request the engine's regions lie: renames the first part of the field of what is raised."""
    try:
        yield
    except InvalidInput as error:
        first, dot, rest = error.field.partition(".")
        error.field = paths.get(first, first) + dot + rest
        raise


def _mask(mask: pb.Mask, limits: Limits) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    count = mask.rows * mask.columns
    if count > limits.max_image_pixels:
        message = f"the mask has {count} bits; this server takes at most {limits.max_image_pixels}"
        raise LimitError(message, field="mask", limit="max_image_pixels", allowed=limits.max_image_pixels)
    expected = -(-count // 8)
    if count == 0 or len(mask.bits) != expected:
        raise InvalidInput(
            f"the mask of {mask.rows} x {mask.columns} needs {expected} bytes of bits and at least one bit, but came "
            f"with {len(mask.bits)}",
            field="mask",
        )
    bits = np.unpackbits(np.frombuffer(mask.bits, np.uint8), count=count)
    return bits.view(np.bool_).reshape(mask.rows, mask.columns)
