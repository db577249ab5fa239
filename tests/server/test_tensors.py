"""Feature sets between the wire and the engine; only EngineError may come out, whatever comes in."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from setwise_engine.errors import EngineError, FeatureError, InvalidInput
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize, Stage
from setwise_proto.v1 import types_pb2 as pb
from setwise_server import Limits
from setwise_server._tensors import features_from_proto, features_to_proto, tensor_from_proto

LIMITS = Limits(max_tokens=100)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("tokens", [0, 6])
def test_a_set_survives_the_journey(dtype, tokens: int) -> None:
    made = np.arange(tokens * 4, dtype=dtype).reshape(tokens, 4)
    features = FeatureSet(
        made,
        stage=Stage.ENCODED,
        model="m",
        encoder="e",
        grid=Grid(2, 3) if tokens else None,
        image_size=ImageSize(300, 200),
    )
    back = features_from_proto(features_to_proto(features), LIMITS)
    assert back.tokens.dtype == dtype
    np.testing.assert_array_equal(back.tokens, features.tokens)
    for name in ("stage", "model", "encoder", "grid", "image_size"):
        assert getattr(back, name) == getattr(features, name)


def test_the_bytes_on_the_wire_are_little_endian_and_row_major() -> None:
    message = features_to_proto(FeatureSet(np.array([[1, 2], [3, 4]], np.float16)))
    assert message.tokens.data == np.array([1, 2, 3, 4], "<f2").tobytes()
    assert list(message.tokens.shape) == [2, 2]


def _tensor(**changed) -> pb.Tensor:
    return pb.Tensor(**{"dtype": pb.DTYPE_FLOAT32, "shape": [2, 2], "data": bytes(16)} | changed)


@pytest.mark.parametrize(
    ("tensor", "field", "says"),
    [
        (_tensor(dtype=pb.DTYPE_UNSPECIFIED), "dtype", "DTYPE_FLOAT16"),
        (_tensor(dtype=77), "dtype", "77"),
        (_tensor(shape=[4]), "shape", "(n, d)"),
        (_tensor(shape=[1, 2, 2]), "shape", "[1, 2, 2]"),
        (_tensor(shape=[1] * 5000), "shape", "..."),
        (_tensor(shape=[-2, -2]), "shape", "[-2, -2]"),
        (_tensor(shape=[2, 0], data=b""), "shape", "[2, 0]"),
        (_tensor(shape=[0, 2**62], data=b""), "shape", "65536"),
        (_tensor(shape=[2**62, 4]), "shape", "at most 100"),
        (_tensor(shape=[101, 1]), "shape", "at most 100"),
        (_tensor(data=bytes(15)), "data", "16"),
        (_tensor(dtype=pb.DTYPE_FLOAT16), "data", "needs 8"),
    ],
)
def test_a_tensor_that_does_not_add_up_is_refused_by_the_field_at_fault(tensor, field: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        tensor_from_proto(tensor, LIMITS)
    assert caught.value.field == field
    assert says in str(caught.value)


def test_nan_and_infinity_are_refused() -> None:
    for value in (np.nan, np.inf):
        message = pb.FeatureSet(stage=pb.STAGE_RAW, tokens=_tensor(data=np.full(4, value, "<f4").tobytes()))
        with pytest.raises(FeatureError, match="finite"):
            features_from_proto(message, LIMITS)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"stage": pb.STAGE_UNSPECIFIED}, "stage"),
        ({"stage": 9}, "stage"),
        ({"encoder": "e"}, "encoder"),
        ({"grid": pb.Grid(rows=2**31, columns=2)}, "grid"),
        ({"image_size": pb.ImageSize(width=3)}, "image_size"),
        ({"tokens": pb.Tensor()}, "tokens.dtype"),
    ],
)
def test_a_set_that_contradicts_itself_is_refused_by_the_field_at_fault(changed, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        features_from_proto(pb.FeatureSet(**{"stage": pb.STAGE_RAW, "tokens": _tensor()} | changed), LIMITS)
    assert caught.value.field == field


tensors = st.builds(
    pb.Tensor,
    dtype=st.integers(0, 3),
    shape=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 8), max_size=4),
    data=st.binary(max_size=64),
)
grids = st.none() | st.builds(pb.Grid, rows=st.integers(0, 2**32 - 1), columns=st.integers(0, 2**32 - 1))
sets = st.builds(pb.FeatureSet, tokens=tensors, stage=st.integers(0, 3), encoder=st.text(max_size=2), grid=grids)


@given(sets)
def test_random_messages_give_a_set_or_an_engine_error(message: pb.FeatureSet) -> None:
    try:
        features = features_from_proto(message, LIMITS)
    except EngineError as error:
        assert error.field
    else:
        assert features.tokens.shape == tuple(message.tokens.shape)


@given(st.binary(max_size=200))
def test_random_bytes_give_a_set_or_an_engine_error(data: bytes) -> None:
    try:
        message = pb.FeatureSet.FromString(data)
    except DecodeError:
        return
    try:
        features_from_proto(message, LIMITS)
    except EngineError as error:
        assert error.field
