"""Whatever is asked with becomes the right message, or an error that says what to do."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import setwise
from setwise._parse import parse_image
from setwise._query import features_message, prepare
from setwise._values import Limits
from setwise_proto.v1 import images_pb2, types_pb2

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def decoded(message: types_pb2.Query) -> Image.Image:
    assert message.WhichOneof("source") == "image"
    return Image.open(io.BytesIO(message.image))


@pytest.mark.parametrize("kind", [str, Path])
def test_a_string_or_path_is_a_file_and_is_sent_as_it_is(photos: list[Path], kind: Any) -> None:
    message, asked = prepare(kind(photos[0]), Limits())
    assert message.image == photos[0].read_bytes()
    assert (asked.label, asked.picture, asked.id) == (photos[0].name, photos[0], None)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_sent_as_they_are(kind: Any) -> None:
    assert prepare(kind(b"some file"), Limits())[0].image == b"some file"


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3), (4, 6, 4)])
def test_arrays_are_pixels_and_travel_without_loss(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(np.asarray(decoded(prepare(pixels, Limits())[0])), pixels)
    strided = np.ascontiguousarray(pixels[:, ::-1])[:, ::-1]
    assert np.array_equal(np.asarray(decoded(prepare(strided, Limits())[0])), pixels)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I;16"])
def test_pil_images_of_every_mode_are_sent(mode: str) -> None:
    base = Image.fromarray(PIXELS)
    picture = Image.new("I;16", (6, 4), 40_000) if mode == "I;16" else base.convert(mode)
    sent = decoded(prepare(picture, Limits())[0])
    assert sent.size == (6, 4)
    expected = picture if mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16") else picture.convert("RGB")
    assert sent.convert("RGBA").tobytes() == expected.convert("RGBA").tobytes()


def test_an_opened_file_is_turned_upright_and_a_changed_image_is_meant_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "sideways.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(path, exif=exif)
    with Image.open(path) as opened:
        assert decoded(prepare(opened, Limits())[0]).size == (4, 6)
        assert decoded(prepare(opened.copy(), Limits())[0]).size == (6, 4)


def test_an_id_is_an_id_only_when_it_says_so() -> None:
    message, asked = prepare(setwise.Id("holiday/beach.jpg"), Limits())
    assert (message.id, asked.id, asked.picture) == ("holiday/beach.jpg", "holiday/beach.jpg", None)
    with pytest.raises(setwise.NotFoundError, match=r"setwise\.Id\('holiday/beach.jpg'\)"):
        prepare("holiday/beach.jpg", Limits())


@pytest.mark.parametrize("dtype", ["float16", "float32", ">f4"])
def test_feature_sets_travel_little_endian_and_come_back(dtype: str) -> None:
    tokens = np.arange(12, dtype=dtype).reshape(4, 3)
    sent = setwise.FeatureSet(tokens, (2, 2), (30, 20), stage="encoded", model="m", encoder="e")
    message = features_message(sent, Limits())
    assert message.tokens.data == tokens.astype(tokens.dtype.newbyteorder("<")).tobytes()
    back = parse_image(images_pb2.Image(id="x", features=message)).features
    assert back == sent
    assert hash(back) == hash(sent)


@pytest.mark.parametrize(
    ("query", "kind", "says"),
    [
        ("no/such.jpg", setwise.NotFoundError, "no file 'no/such.jpg'"),
        (os.curdir, setwise.InvalidArgumentError, "is a directory"),
        ("https://example.org/a.jpg", setwise.InvalidArgumentError, "is a URL"),
        ("a\0b", setwise.InvalidArgumentError, "cannot read"),
        (b"", setwise.InvalidArgumentError, "is empty"),
        (b"x" * 101, setwise.InvalidArgumentError, "takes 101 bytes and the server accepts 100"),
        (["a.jpg", "b.jpg"], setwise.InvalidArgumentError, "search_many"),
        (None, setwise.InvalidArgumentError, "cannot ask with a NoneType"),
        (np.zeros((10, 256), np.float32), setwise.InvalidArgumentError, r"setwise\.FeatureSet"),
        (np.zeros((4, 4, 3)), setwise.InvalidArgumentError, "uint8 pixels"),
        (np.zeros((2, 4, 4, 3), np.uint8), setwise.InvalidArgumentError, "uint8 pixels"),
        (np.zeros((0, 4), np.uint8), setwise.InvalidArgumentError, "uint8 pixels"),
        (Image.new("F", (2, 2)), setwise.InvalidArgumentError, "holds floats"),
        (Image.new("RGB", (0, 2)), setwise.InvalidArgumentError, "no pixels"),
    ],
)
def test_what_cannot_be_asked_with_says_what_to_do(query: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says) as caught:
        prepare(query, Limits(max_image_bytes=100))
    assert caught.value.field == "query"


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(setwise.InvalidArgumentError, match=r"large\.jpg takes 1,099,511,627,776 bytes") as caught:
        prepare(path, Limits(max_image_bytes=15 << 20))
    assert caught.value.reason == "LIMIT_EXCEEDED"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"tokens": np.zeros(4, np.float32)}, r"shape \(4,\)"),
        ({"tokens": np.zeros((4, 0), np.float32)}, r"shape \(4, 0\)"),
        ({"tokens": np.zeros((4, 3))}, "float64"),
        ({"tokens": np.full((4, 3), np.nan, np.float32)}, "NaN"),
        ({"tokens": np.zeros((4, 3), np.float32), "grid": (2, 3)}, r"grid \(2, 3\) does not hold 4"),
        ({"tokens": np.zeros((4, 3), np.float32), "stage": "half"}, "'raw' or 'encoded'"),
    ],
)
def test_a_feature_set_is_checked_when_it_is_made(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(setwise.InvalidArgumentError, match=says):
        setwise.FeatureSet(**arguments)


@pytest.mark.parametrize("value", ["", 7, None, "\ud800"])
def test_an_id_is_a_string_that_utf8_can_hold(value: Any) -> None:
    with pytest.raises(setwise.InvalidArgumentError):
        setwise.Id(value)
