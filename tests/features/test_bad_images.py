"""What is no usable image is refused with a sentence that names it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from setwise_engine.errors import ImageError, NotFound
from setwise_engine.features import DecodeLimits, prepare_image

Encode = Callable[..., bytes]


def refused(path: Path, sentence: str) -> None:
    with pytest.raises(ImageError, match=re.escape(f"{path} ") + sentence):
        prepare_image(path, 32)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there is no file .*none\.jpg"):
        prepare_image(tmp_path / "none.jpg", 32)


def test_a_folder(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder, not an image file")


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "is not a regular file")


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")
    path.chmod(0)
    try_it = """
import os, sys
from pathlib import Path
from setwise_engine.features import prepare_image
if os.geteuid() == 0:
    os.setuid(65534)  # the superuser may read everything
prepare_image(Path(sys.argv[1]), 32)
"""
    done = subprocess.run([sys.executable, "-c", try_it, str(path)], capture_output=True, text=True, check=False)
    assert f"ImageError: {path} may not be read by this user; change its permissions" in done.stderr


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    refused(tmp_path / "empty.jpg", r"is empty \(0 bytes\)")
    with pytest.raises(ImageError, match="image is empty"):
        prepare_image(b"", 32)


@pytest.mark.parametrize(
    "content", [b"hello, world", b"%PDF-1.7", b"\x00\x00\x00\x20ftypavif", b"8BPS\0\1", b"P6 1 1 255\nabc"]
)
def test_other_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "note.jpg").write_bytes(content)
    refused(tmp_path / "note.jpg", "is not a JPEG, PNG, WebP, BMP, TIFF or GIF image")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
@pytest.mark.parametrize("share", [0.1, 0.6])
def test_truncated_files(photos: list[Path], tmp_path: Path, encoded: Encode, kind: str, share: float) -> None:
    with Image.open(photos[0]) as photo:
        data = encoded(photo.convert("RGB").resize((200, 150)), kind)
    (tmp_path / "half").write_bytes(data[: int(len(data) * share)])
    refused(tmp_path / "half", "cannot be decoded: it is damaged or cut short")


@pytest.mark.parametrize("signature", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"MM\0*", b"BM"])
def test_a_signature_alone_is_no_image(signature: bytes) -> None:
    with pytest.raises(ImageError, match="image cannot be decoded"):
        prepare_image(signature, 32)
    with pytest.raises(ImageError, match=r"image (cannot be decoded|has)"):
        prepare_image(signature + bytes(range(256)) * 4, 32)


def test_more_bytes_than_allowed(tmp_path: Path, scene: Image.Image, encoded: Encode) -> None:
    data = encoded(scene, "PNG")
    limits = DecodeLimits(max_bytes=len(data) - 1)
    (tmp_path / "big.png").write_bytes(data)
    for source in (tmp_path / "big.png", data):
        with pytest.raises(ImageError, match=f"is larger than the limit of {len(data) - 1} bytes"):
            prepare_image(source, 32, limits=limits)
    prepare_image(data, 32, limits=DecodeLimits(max_bytes=len(data)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_more_pixels_than_allowed(encoded: Encode, kind: str) -> None:
    data = encoded(Image.new("L" if kind == "GIF" else "RGB", (100, 80)), kind)
    with pytest.raises(ImageError, match="image has 100x80 pixels, more than the limit of 7999; scale it down"):
        prepare_image(data, 8, limits=DecodeLimits(max_pixels=7999))
    prepare_image(data, 8, limits=DecodeLimits(max_pixels=8000))


def test_pillows_own_limit_neither_warns_nor_counts(encoded: Encode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its limit is a global of the process, which other code may need as it is; warnings are errors in these tests."""
    data = encoded(Image.new("L", (300, 300)), "PNG")
    for limit in (50_000, 10_000):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert prepare_image(data, 8).image_size == (300, 300)
        assert limit == Image.MAX_IMAGE_PIXELS


def test_a_decompression_bomb_is_refused_by_its_header(encoded: Encode) -> None:
    bomb = encoded(Image.new("1", (20_000, 20_000)), "PNG")
    assert len(bomb) < 100_000
    with pytest.raises(ImageError, match="20000x20000 pixels"):
        prepare_image(bomb, 32)


def test_a_colour_mode_without_a_plain_way_to_rgb(encoded: Encode) -> None:
    with pytest.raises(ImageError, match="image has the colour mode LAB; convert it to RGB"):
        prepare_image(encoded(Image.new("LAB", (8, 8)), "TIFF"), 8)
