"""Every accepted format, colour mode and orientation comes out as the same RGB square."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from setwise_engine.errors import InvalidInput
from setwise_engine.features import prepare_image

Encode = Callable[..., bytes]


def corners(pixels: NDArray[np.uint8]) -> list[tuple[int, ...]]:
    """Colours near the four corners: top left, top right, bottom left, bottom right."""
    side = len(pixels)
    near, far = side // 8, side - side // 8
    return [tuple(int(v) for v in pixels[r, c]) for r, c in ((near, near), (near, far), (far, near), (far, far))]


RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_formats_without_loss_give_equal_colours(
    scene: Image.Image, encoded: Encode, kind: str, options: dict[str, Any]
) -> None:
    prepared = prepare_image(encoded(scene, kind, **options), 32)
    assert corners(prepared.pixels) == [RED, GREEN, BLUE, WHITE]
    assert prepared.image_size == (90, 60)
    assert prepared.pixels.shape == (32, 32, 3)
    assert prepared.pixels.dtype == np.uint8
    assert prepared.thumbnail == b""


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_formats_with_loss_give_nearly_equal_colours(scene: Image.Image, encoded: Encode, kind: str) -> None:
    found = corners(prepare_image(encoded(scene, kind, quality=95), 32).pixels)
    assert np.abs(np.array(found) - [RED, GREEN, BLUE, WHITE]).max() <= 6


def test_a_path_and_its_bytes_give_the_same(photos: list[Path]) -> None:
    from_path, from_bytes = prepare_image(photos[0], 64), prepare_image(photos[0].read_bytes(), 64)
    assert np.array_equal(from_path.pixels, from_bytes.pixels)


def test_threads_decode_at_once_and_alike(photos: list[Path]) -> None:
    alone = [prepare_image(path, 64).pixels for path in photos]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda path: prepare_image(path, 64).pixels, photos))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_only_the_first_frame_of_an_animation_counts(encoded: Encode) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in (RED, GREEN)]
    for kind, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("PNG", {})):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert corners(prepare_image(data, 8).pixels) == [RED] * 4, kind


def test_the_two_picture_jpeg_of_phones_is_a_jpeg(encoded: Encode) -> None:
    first, second = Image.new("RGB", (64, 48), (200, 30, 30)), Image.new("RGB", (64, 48), (30, 200, 30))
    data = encoded(first, "MPO", save_all=True, append_images=[second])
    prepared = prepare_image(data, 16)
    assert prepared.image_size == (64, 48)
    assert np.abs(prepared.pixels.astype(int) - [200, 30, 30]).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(scene: Image.Image, encoded: Encode, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(scene, kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))
    with Image.open(BytesIO(data)) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    prepared = prepare_image(data, 32, thumbnail=True)
    expected = np.asarray(upright.resize((32, 32), Image.Resampling.BICUBIC))
    assert prepared.image_size == upright.size
    assert np.abs(np.array(corners(prepared.pixels)) - np.array(corners(expected))).max() <= 6
    with Image.open(BytesIO(prepared.thumbnail)) as thumbnail:
        assert thumbnail.size == upright.size
        assert (
            np.abs(np.array(corners(np.asarray(thumbnail.resize((32, 32))))) - np.array(corners(expected))).max() < 25
        )


# pytest puts its own filters in place of the one that the module sets: the same again.
@pytest.mark.filterwarnings(r"ignore::UserWarning:PIL\.")
def test_a_damaged_exif_block_does_not_hide_the_picture(scene: Image.Image, encoded: Encode) -> None:
    data = encoded(scene, "JPEG", quality=95, exif=b"Exif\0\0II*\0\x08\0\0\0\x02\0 nonsense")
    assert prepare_image(data, 32).image_size == (90, 60)


class TestColours:
    def test_grey_and_black_and_white(self, encoded: Encode) -> None:
        grey = np.repeat(np.arange(0, 256, 8, dtype=np.uint8)[None], 32, axis=0)
        pixels = prepare_image(encoded(Image.fromarray(grey), "PNG"), 32).pixels
        assert (pixels == grey[..., None]).all()
        pixels = prepare_image(encoded(Image.fromarray(grey > 127), "PNG"), 32).pixels
        assert set(np.unique(pixels)) == {0, 255}

    def test_palette(self, scene: Image.Image, encoded: Encode) -> None:
        data = encoded(scene.convert("P", palette=Image.Palette.ADAPTIVE), "PNG")
        assert corners(prepare_image(data, 32).pixels) == [RED, GREEN, BLUE, WHITE]

    def test_cmyk(self, scene: Image.Image, encoded: Encode) -> None:
        for kind in ("JPEG", "TIFF"):
            found = corners(prepare_image(encoded(scene.convert("CMYK"), kind), 32).pixels)
            assert np.abs(np.array(found) - [RED, GREEN, BLUE, WHITE]).max() <= 12, kind

    @pytest.mark.parametrize("kind", ["PNG", "TIFF"])
    def test_16_bit_grey_is_scaled_and_not_clipped(self, encoded: Encode, kind: str) -> None:
        values = np.repeat(np.array([0, 257 * 50, 257 * 100, 65535], dtype=np.uint16)[None], 4, axis=0)
        pixels = prepare_image(encoded(Image.fromarray(values), kind), 4).pixels
        assert (pixels[0] == np.array([0, 50, 100, 255])[:, None]).all()

    def test_32_bit_grey_is_stretched(self, encoded: Encode) -> None:
        unit = np.repeat(np.array([0.0, 0.2, 0.4, 1.0], dtype=np.float32)[None], 4, axis=0)
        assert (prepare_image(encoded(Image.fromarray(unit), "TIFF"), 4).pixels[0, :, 0] == [0, 51, 102, 255]).all()
        assert (
            prepare_image(encoded(Image.fromarray(unit * 1000 - 7), "TIFF"), 4).pixels[0, :, 0] == [0, 51, 102, 255]
        ).all()
        deep = (unit * 10_000_000).astype(np.int32)
        assert (prepare_image(encoded(Image.fromarray(deep), "TIFF"), 4).pixels[0, :, 0] == [0, 51, 102, 255]).all()

    def test_transparency_is_laid_on_white(self, encoded: Encode) -> None:
        clear, half = Image.new("RGBA", (8, 8), (255, 0, 0, 0)), Image.new("RGBA", (8, 8), (255, 0, 0, 128))
        for kind, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
            assert (prepare_image(encoded(clear, kind, **options), 8).pixels == 255).all(), kind
            blend = prepare_image(encoded(half, kind, **options), 8).pixels[0, 0]
            assert np.abs(blend.astype(int) - [255, 127, 127]).max() <= 1, kind

    def test_transparent_grey(self, encoded: Encode) -> None:
        picture = Image.new("LA", (8, 8), (0, 0))
        assert (prepare_image(encoded(picture, "PNG"), 8).pixels == 255).all()

    def test_transparent_palette_entries_and_single_colours(self, encoded: Encode) -> None:
        picture = Image.new("P", (8, 8), 0)
        picture.putpalette([255, 0, 0, 0, 255, 0])
        for kind in ("PNG", "GIF"):
            assert (prepare_image(encoded(picture, kind, transparency=0), 8).pixels == 255).all(), kind
        assert (prepare_image(encoded(picture, "PNG", transparency=bytes([0, 255])), 8).pixels == 255).all()
        red = Image.new("RGB", (8, 8), RED)
        assert (prepare_image(encoded(red, "PNG", transparency=RED), 8).pixels == 255).all()


class TestSizes:
    def test_one_pixel_is_an_image(self, encoded: Encode) -> None:
        prepared = prepare_image(encoded(Image.new("RGB", (1, 1), (9, 8, 7)), "PNG"), 32, thumbnail=True)
        assert (prepared.pixels == (9, 8, 7)).all()
        assert prepared.image_size == (1, 1)

    def test_the_whole_picture_is_squashed(self, encoded: Encode) -> None:
        wide = np.zeros((10, 400, 3), dtype=np.uint8)
        wide[:, 390:] = 255
        pixels = prepare_image(encoded(Image.fromarray(wide), "PNG"), 40).pixels
        assert (pixels[:, -1] > 200).all()
        assert (pixels[:, 0] == 0).all()

    def test_large_jpegs_are_decoded_small_and_look_the_same(self, photos: list[Path], encoded: Encode) -> None:
        with Image.open(photos[3]) as photo:
            large = photo.convert("RGB").resize((2001, 1503), Image.Resampling.BICUBIC)
        reduced = prepare_image(encoded(large, "JPEG", quality=95), 64)
        exact = prepare_image(encoded(large, "PNG"), 64)
        assert reduced.image_size == exact.image_size == (2001, 1503)
        assert np.abs(reduced.pixels.astype(int) - exact.pixels).mean() < 1.5

    @pytest.mark.parametrize(
        ("size", "expected"), [((800, 400), (256, 128)), ((30, 20), (30, 20)), ((9000, 3), (256, 1))]
    )
    def test_thumbnails_have_a_long_side_of_256_at_most(
        self, encoded: Encode, size: tuple[int, int], expected: tuple[int, int]
    ) -> None:
        data = prepare_image(encoded(Image.new("RGB", size, RED), "PNG"), 8, thumbnail=True).thumbnail
        with Image.open(BytesIO(data)) as thumbnail:
            assert (thumbnail.format, thumbnail.mode, thumbnail.size) == ("JPEG", "RGB", expected)

    def test_a_side_of_nothing_is_refused(self, scene: Image.Image, encoded: Encode) -> None:
        with pytest.raises(InvalidInput, match="image side 0 is not positive"):
            prepare_image(encoded(scene, "PNG"), 0)
