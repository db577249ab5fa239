"""JPEGs that would be gone through again and again."""

from __future__ import annotations

import random
import re
from io import BytesIO

import pytest
from PIL import Image

from setwise_engine.errors import ImageError
from setwise_engine.features import prepare_image
from setwise_engine.features._jpeg import MAX_SCANS, _scans


def progressive(side: int = 64) -> bytes:
    out = BytesIO()
    Image.new("RGB", (side, side), (128, 99, 3)).save(out, "JPEG", progressive=True)
    return out.getvalue()


def repeated(data: bytes, times: int) -> bytes:
    """The last scan, a few bytes, again and again."""
    last = [found.start() for found in re.finditer(rb"\xff\xda", data)][-1]
    return data[:-2] + data[last:-2] * times + data[-2:]


def test_a_bomb_of_scans_is_refused_before_it_is_decoded() -> None:
    data = progressive()
    assert _scans(data) == 10
    fits, too_many = (repeated(data, MAX_SCANS - 10 + more) for more in (0, 1))
    assert prepare_image(fits, 32).pixels.shape == (32, 32, 3)
    with pytest.raises(ImageError, match="more than 100 scans"):
        prepare_image(too_many, 32)
    with pytest.raises(ImageError, match="more than 100 scans"):
        prepare_image(repeated(data, 500_000), 32)


def test_what_follows_the_picture_or_lies_in_its_metadata_is_no_scan() -> None:
    """Phones append films, and put whole JPEGs in as thumbnails."""
    data = progressive()
    film = random.Random(1).randbytes(1000) + b"\xff\xda" * 500
    inside = data[:2] + b"\xff\xe1\x10\x02" + (b"\xff\xda" * 2048) + data[2:]
    for each in (data + film, inside):
        assert _scans(each) == 10
        assert (prepare_image(each, 32).pixels == prepare_image(data, 32).pixels).all()
