"""Tensors and feature sets between the wire and the engine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from setwise_engine.errors import FeatureError, InvalidInput
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize, Stage, Tokens
from setwise_proto.v1 import types_pb2 as pb
from setwise_server._errors import LimitError, at
from setwise_server.settings import Limits

__all__ = ["features_from_proto", "features_to_proto", "grid_to_proto", "image_size_to_proto", "tensor_from_proto"]

DTYPES: dict[int, np.dtype[np.floating[Any]]] = {pb.DTYPE_FLOAT16: np.dtype("<f2"), pb.DTYPE_FLOAT32: np.dtype("<f4")}
MAX_DIMS = 65536  # far beyond any network; keeps numpy's own size arithmetic from overflowing on an empty set
STAGES = {pb.STAGE_RAW: Stage.RAW, pb.STAGE_ENCODED: Stage.ENCODED}


def tensor_from_proto(tensor: pb.Tensor, limits: Limits) -> Tokens:
    """The (n, d) array of a tensor, without a copy. Raises FeatureError or LimitError naming dtype, shape or data."""
    dtype = DTYPES.get(tensor.dtype)
    if dtype is None:
        raise FeatureError(f"dtype {tensor.dtype} is unknown; send DTYPE_FLOAT16 or DTYPE_FLOAT32", field="dtype")
    shape = tuple(tensor.shape)
    if len(shape) != 2 or shape[0] < 0 or not 1 <= shape[1] <= MAX_DIMS:
        shown = list(shape[:4]) + (["..."] if len(shape) > 4 else [])
        raise FeatureError(f"shape {shown} is no feature set's; send (n, d) with d from 1 to {MAX_DIMS}", field="shape")
    if shape[0] > limits.max_tokens:
        message = f"the set has {shape[0]} tokens; this server takes at most {limits.max_tokens}"
        raise LimitError(message, field="shape", limit="max_tokens", allowed=limits.max_tokens)
    expected = math.prod(shape) * dtype.itemsize
    if len(tensor.data) != expected:
        message = f"data holds {len(tensor.data)} bytes, but shape {list(shape)} of {dtype.name} needs {expected}"
        raise FeatureError(message, field="data")
    return np.frombuffer(tensor.data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def features_from_proto(message: pb.FeatureSet, limits: Limits) -> FeatureSet:
    """The engine's feature set. Raises InvalidInput (FeatureError, LimitError) naming the field at fault."""
    stage = STAGES.get(message.stage)
    if stage is None:
        raise InvalidInput(f"stage {message.stage} is unknown; send STAGE_RAW or STAGE_ENCODED", field="stage")
    if stage is Stage.RAW and message.encoder:
        raise InvalidInput(
            f'a raw set cannot have gone through encoder "{message.encoder}"; send STAGE_ENCODED or no encoder',
            field="encoder",
        )
    with at("tokens"):
        tokens = tensor_from_proto(message.tokens, limits)
    return FeatureSet(
        tokens=tokens,
        stage=stage,
        model=message.model,
        encoder=message.encoder,
        grid=Grid(message.grid.rows, message.grid.columns) if message.HasField("grid") else None,
        image_size=_image_size(message),
    )


def features_to_proto(features: FeatureSet) -> pb.FeatureSet:
    """A feature set as it travels: little-endian, in the precision that it has."""
    single = features.tokens.dtype == np.float32
    data = features.tokens.astype("<f4" if single else "<f2", copy=False).tobytes()
    dtype = pb.DTYPE_FLOAT32 if single else pb.DTYPE_FLOAT16
    return pb.FeatureSet(
        tokens=pb.Tensor(dtype=dtype, shape=features.tokens.shape, data=data),
        stage=pb.STAGE_RAW if features.stage is Stage.RAW else pb.STAGE_ENCODED,
        model=features.model,
        encoder=features.encoder,
        grid=grid_to_proto(features.grid),
        image_size=image_size_to_proto(features.image_size),
    )


def grid_to_proto(grid: Grid | None) -> pb.Grid | None:
    """A grid, or None for an absent field."""
    return None if grid is None else pb.Grid(rows=grid.rows, columns=grid.columns)


def image_size_to_proto(size: ImageSize | None) -> pb.ImageSize | None:
    """An image's size, or None for an absent field."""
    return None if size is None else pb.ImageSize(width=size.width, height=size.height)


def _image_size(message: pb.FeatureSet) -> ImageSize | None:
    if not message.HasField("image_size"):
        return None
    size = ImageSize(message.image_size.width, message.image_size.height)
    if 0 in size:
        raise InvalidInput(
            f"an image of {size.width} x {size.height} pixels is none; leave the size out when it is unknown",
            field="image_size",
        )
    return size
