"""Raw tokens of images, from whatever they are given as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from setwise_engine.errors import ImageError, InvalidInput, NotFound
from setwise_engine.features import Extractor, load_extractor, prepare_image
from setwise_evaluation._images import ImageSource
from setwise_evaluation.activations import activations


@pytest.fixture(scope="module")
def small() -> Extractor:
    """The real default network on small squares: 2x2 tokens."""
    return load_extractor(image_size=64, device="cpu")


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (50, 70, 3), dtype=np.uint8))


def test_tokens_are_the_extractors_own_raw(photos: list[Path], small: Extractor) -> None:
    found = activations(photos[:3], model=small)
    pixels = np.stack([prepare_image(path, 64).pixels for path in photos[:3]])
    np.testing.assert_array_equal(found.tokens, small.extract(pixels))
    assert (found.tokens.shape, found.tokens.dtype.name, found.grid) == ((3, 4, 1280), "float32", (2, 2))
    assert (found.model, found.fingerprint, found.kept) == ("efficientnet-lite0", small.info.fingerprint, (0, 1, 2))


def test_maps_are_the_same_numbers_with_channels_first(photos: list[Path], small: Extractor) -> None:
    found = activations(photos[:2], model=small)
    assert found.maps.shape == (2, 1280, 2, 2)
    np.testing.assert_array_equal(found.maps[1, :, 1, 0], found.tokens[1, 2])


def test_batches_change_rounding_only_and_are_told(photos: list[Path], small: Extractor) -> None:
    told: list[tuple[int, int]] = []
    by_two = activations(photos[:5], model=small, batch=2, progress=lambda done, total: told.append((done, total)))
    np.testing.assert_allclose(by_two.tokens, activations(photos[:5], model=small).tokens, atol=1e-4)
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_files_bytes_pictures_and_arrays_alike(tmp_path: Path, small: Extractor) -> None:
    path = tmp_path / "picture.png"
    picture().save(path)
    kinds: list[ImageSource] = [
        path,
        str(path),
        path.read_bytes(),
        picture(),
        np.asarray(picture()),
        picture().convert("RGBA"),
    ]
    tokens = activations(kinds, model=small, batch=1).tokens
    assert (tokens == tokens[0]).all()


def test_grey_cmyk_and_turned_pictures(small: Extractor) -> None:
    turned = picture()
    turned.getexif()[0x0112] = 6
    found = activations([np.asarray(picture().convert("L")), picture().convert("CMYK"), turned], model=small)
    upright = activations([picture().transpose(Image.Transpose.ROTATE_270)], model=small, batch=1)
    np.testing.assert_allclose(found.tokens[2], upright.tokens[0], atol=1e-4)


def test_a_model_by_name_and_size(photos: list[Path], small: Extractor) -> None:
    found = activations(photos[:1], image_size=64, device="cpu")
    assert found.fingerprint == small.info.fingerprint


class TestWhatCannotBeUsed:
    def test_is_named(self, tmp_path: Path, small: Extractor) -> None:
        (tmp_path / "broken.jpg").write_bytes(b"no picture")
        with pytest.raises(ImageError, match=r"broken\.jpg is not a JPEG"):
            activations([tmp_path / "broken.jpg"], model=small)
        with pytest.raises(NotFound, match=r"there is no file .*gone\.jpg"):
            activations([tmp_path / "gone.jpg"], model=small)
        with pytest.raises(ImageError, match="image number 1: image is not a JPEG"):
            activations([picture(), b"no picture"], model=small)
        with pytest.raises(ImageError, match=r"image number 0: cannot be used as an image .* uint8 pixels"):
            activations([np.zeros((4, 4, 7))], model=small)  # type: ignore[list-item]

    def test_or_left_out_and_reported(self, tmp_path: Path, small: Extractor) -> None:
        found = activations([b"no", picture(1), tmp_path / "gone.jpg", picture(2)], model=small, on_error="leave-out")
        assert (found.kept, [one.index for one in found.left_out]) == ((1, 3), [0, 2])
        assert "gone.jpg" in found.left_out[1].reason
        np.testing.assert_array_equal(found.tokens, activations([picture(1), picture(2)], model=small).tokens)

    def test_nothing_at_all(self, small: Extractor) -> None:
        assert activations([], model=small).tokens.shape == (0, 4, 1280)
        assert activations([b"no"], model=small, on_error="leave-out", batch=1).tokens.shape == (0, 4, 1280)


def test_bad_options(small: Extractor) -> None:
    with pytest.raises(InvalidInput, match="batch is 0"):
        activations([picture()], model=small, batch=0)
    with pytest.raises(InvalidInput, match="on_error is 'ignore'; use 'raise' or 'leave-out'"):
        activations([picture()], model=small, on_error="ignore")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="efficientnet-lite0 is loaded already"):
        activations([picture()], model=small, image_size=96)
