"""Composed scenes one at a time, the things in them, and folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from setwise_engine.errors import InvalidInput, NotFound, Unavailable
from setwise_evaluation.experiments.probabilities._pictures import Scenes, files_digest, folder_images


def photograph(seed: int, size: tuple[int, int]) -> Image.Image:
    """Noise: many colours, like a photograph and unlike a drawing."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five cut-outs in each of three categories, and six backgrounds."""
    folder = tmp_path_factory.mktemp("assets")
    oval = Image.radial_gradient("L").resize((60, 50)).point(lambda value: 255 if value < 128 else 0)
    for number in range(15):
        path = folder / "stamps" / ("animals", "food", "tools")[number % 3] / f"thing{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = photograph(number, (60, 50))
        picture.putalpha(oval)
        picture.save(path)
    (folder / "views").mkdir()
    for number in range(6):
        photograph(100 + number, (160, 100)).save(folder / "views" / f"view{number}.png")
    return folder


def scenes(assets: Path, count: int = 3, seed: int = 1, *, single: bool = False) -> Scenes:
    return Scenes(count, seed, single=single, cutouts=assets / "stamps", backgrounds=[assets / "views"])


def test_a_scene_depends_on_seed_and_place_only(assets: Path) -> None:
    few, many = scenes(assets), scenes(assets, 5)
    assert (len(few), len(many), few[2].size) == (3, 5, (640, 480))
    np.testing.assert_array_equal(np.asarray(few[2]), np.asarray(many[2]))
    assert not np.array_equal(np.asarray(few[0]), np.asarray(scenes(assets, seed=2)[0]))


def test_they_are_those_that_are_written_to_files(assets: Path, tmp_path: Path) -> None:
    from setwise_evaluation.scenes import Split, find_backgrounds, find_cutouts, write_scenes

    parts = {"cutouts": find_cutouts(assets / "stamps"), "backgrounds": find_backgrounds([assets / "views"])}
    write_scenes(tmp_path, Split.INSTANCE_DATABASE, 1, 1, **parts)  # type: ignore[arg-type]
    written = Image.open(tmp_path / "instance-database-1-00000.jpg")
    apart = np.asarray(written).astype(int) - np.asarray(scenes(assets)[0]).astype(int)
    assert np.abs(apart).mean() < 20, "JPEG of noise"


def test_a_thing_of_a_scene(assets: Path) -> None:
    """The square around the front-most object, as far as the scene reaches."""
    whole, single = scenes(assets)[0], scenes(assets, single=True)[0]
    assert single.width < whole.width
    assert single.height < whole.height
    pixels, part = np.asarray(whole), np.asarray(single)
    windows = np.lib.stride_tricks.sliding_window_view(pixels[..., 0], part.shape[:2])
    corner = part[0, 0, 0] == windows[..., 0, 0]
    assert any((windows[row, column] == part[..., 0]).all() for row, column in np.argwhere(corner))


def test_slices_and_ends(assets: Path) -> None:
    made = scenes(assets)
    assert [picture.size for picture in made[1:]] == [(640, 480)] * 2
    with pytest.raises(IndexError):
        made[3]


def test_the_digest_is_over_all_pixels_in_order_whatever_was_asked_for(assets: Path) -> None:
    asked = scenes(assets)
    _ = [asked[place] for place in (2, 0)]
    assert asked.digest() == scenes(assets).digest()
    others = [scenes(assets, 4), scenes(assets, seed=2), scenes(assets, single=True)]
    assert len({asked.digest(), *(other.digest() for other in others)}) == 4


def test_what_scenes_need(assets: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="count is 1; pairs need at least 2"):
        scenes(assets, 1)
    with pytest.raises((NotFound, Unavailable, InvalidInput), match="missing"):
        Scenes(2, 1, cutouts=tmp_path / "missing", backgrounds=[assets / "views"])


class TestFolders:
    def test_images_at_any_depth_in_order(self, tmp_path: Path) -> None:
        for name in ("b.png", "deeper/a.JPG", "c.txt"):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.touch()
        assert folder_images(tmp_path, 10, 1) == [tmp_path / "b.png", tmp_path / "deeper" / "a.JPG"]

    def test_some_of_many_by_the_seed(self, tmp_path: Path) -> None:
        for number in range(9):
            (tmp_path / f"{number}.png").touch()
        few = folder_images(tmp_path, 4, 1)
        assert len(few) == 4
        assert few == sorted(few) == folder_images(tmp_path, 4, 1)
        assert few != folder_images(tmp_path, 4, 2)

    def test_one_image_is_no_pair(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").touch()
        with pytest.raises(NotFound, match="holds 1 images; give a folder with at least 2"):
            folder_images(tmp_path, 4, 1)

    def test_digest_of_contents(self, tmp_path: Path) -> None:
        a, b = tmp_path / "a", tmp_path / "b"
        a.write_bytes(b"one")
        b.write_bytes(b"two")
        assert files_digest([a, b]) != files_digest([b, a])
