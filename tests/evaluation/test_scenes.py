"""Composed scenes: which pictures are used, what the labels say, and that a seed decides every pixel."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from setwise_engine.errors import InvalidInput, Unavailable
from setwise_evaluation.scenes import (
    COUNTS,
    Cutout,
    Split,
    compose,
    compose_counting,
    find_backgrounds,
    find_cutouts,
    pool,
    write_scenes,
)
from setwise_evaluation.scenes.__main__ import main

CATEGORIES = ("animals/birds", "food", "tools")

PLACED_BEFORE_COUNTING = [
    ("food/thing7", (8, 335, 134, 443), False),
    ("tools/thing5", (423, 263, 549, 371), False),
    ("animals/birds/thing6", (170, 215, 296, 323), False),
]


def _photograph(seed: int, size: tuple[int, int]) -> Image.Image:
    """Noise: many colours, no two neighbours equal, like a photograph and unlike a drawing."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def stamps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five photographed cut-outs in each of three categories, and four files that must not be used."""
    folder = tmp_path_factory.mktemp("stamps")
    oval = Image.radial_gradient("L").resize((60, 50)).point(lambda value: 255 if value < 128 else 0)
    for number in range(15):
        path = folder / CATEGORIES[number % 3] / f"thing{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = _photograph(number, (60, 50))
        picture.putalpha(oval)
        picture.save(path)
    (folder / "symbols").mkdir()
    picture.save(folder / "symbols" / "letter.png")
    picture.save(folder / "food" / "thing_mirror.png")
    _photograph(99, (60, 50)).save(folder / "food" / "no_alpha.png")
    drawn = Image.new("RGB", (60, 50), "red")
    drawn.putalpha(oval)
    drawn.save(folder / "food" / "drawn.png")
    return folder


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("views")
    for number in range(6):
        _photograph(100 + number, (160, 100)).save(folder / f"view{number}.png")
    return folder


@pytest.fixture(scope="module")
def cutouts(stamps: Path) -> list[Cutout]:
    return find_cutouts(stamps)


@pytest.fixture(scope="module")
def backgrounds(views: Path) -> list[Path]:
    return find_backgrounds([views])


def test_only_photographed_cutouts_are_found_and_folders_are_categories(cutouts: list[Cutout]) -> None:
    assert {cutout.category for cutout in cutouts} == set(CATEGORIES)
    assert len(cutouts) == 15
    assert all(cutout.instance.startswith(cutout.category + "/thing") for cutout in cutouts)


def test_splits_share_only_what_their_protocol_allows(cutouts: list[Cutout], backgrounds: list[Path]) -> None:
    pools = {split: pool(split, cutouts, backgrounds) for split in Split}
    used = {split: {cutout for group in pools[split].cutouts.values() for cutout in group} for split in Split}
    behind = {split: set(pools[split].backgrounds) for split in Split}
    assert used[Split.INSTANCE_DATABASE] == used[Split.INSTANCE_QUERY]
    assert not behind[Split.INSTANCE_DATABASE] & behind[Split.INSTANCE_QUERY]
    assert not used[Split.CATEGORY_DATABASE] & used[Split.CATEGORY_QUERY]
    assert not behind[Split.CATEGORY_DATABASE] & behind[Split.CATEGORY_QUERY]
    assert set(pools[Split.CATEGORY_DATABASE].cutouts) == set(pools[Split.CATEGORY_QUERY].cutouts)
    for split in set(Split) - {Split.FIT}:
        assert not used[Split.FIT] & used[split]
        assert not behind[Split.FIT] & behind[split]


def test_a_seed_decides_every_pixel(cutouts: list[Cutout], backgrounds: list[Path]) -> None:
    usable = pool(Split.INSTANCE_QUERY, cutouts, backgrounds)
    first, again, other = (compose(usable, seed) for seed in ("a", "a", "b"))
    assert first.image.tobytes() == again.image.tobytes()
    assert first.objects == again.objects
    assert first.image.tobytes() != other.image.tobytes()


def test_every_object_lies_in_the_scene_and_shows_in_its_box(cutouts: list[Cutout], backgrounds: list[Path]) -> None:
    usable = pool(Split.INSTANCE_QUERY, cutouts, backgrounds)
    for seed in range(20):
        scene = compose(usable, str(seed), (320, 240))
        assert 2 <= len(scene.objects) <= 3  # up to five, but there are three categories
        assert len({placed.cutout.category for placed in scene.objects}) == len(scene.objects)
        for placed in scene.objects:
            left, top, right, bottom = placed.box
            assert 0 <= left < right <= 320
            assert 0 <= top < bottom <= 240


def test_labels_describe_the_written_scenes(tmp_path: Path, cutouts: list[Cutout], backgrounds: list[Path]) -> None:
    labels = write_scenes(tmp_path, Split.FIT, 3, 7, cutouts=cutouts, backgrounds=backgrounds)
    lines = [json.loads(line) for line in labels.read_text().splitlines()]
    assert [line["id"] for line in lines] == ["fit-7-00000", "fit-7-00001", "fit-7-00002"]
    for line in lines:
        with Image.open(tmp_path / line["path"]) as scene:
            assert scene.size == (640, 480)
        assert len(line["boxes"]) == 4 * len(line["instances"]) == 4 * len(line["categories"])


def test_more_scenes_keep_the_first_ones(tmp_path: Path, cutouts: list[Cutout], backgrounds: list[Path]) -> None:
    few = write_scenes(tmp_path / "few", Split.FIT, 1, 7, cutouts=cutouts, backgrounds=backgrounds)
    many = write_scenes(tmp_path / "many", Split.FIT, 2, 7, cutouts=cutouts, backgrounds=backgrounds)
    assert many.read_text().startswith(few.read_text())
    name = "fit-7-00000.jpg"
    assert (few.parent / name).read_bytes() == (many.parent / name).read_bytes()


def test_the_command_composes_and_says_where(
    tmp_path: Path, stamps: Path, views: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["--cutouts", str(stamps), "--backgrounds", str(views)]
    assert main(["--out", str(tmp_path), "--split", "fit", "--count", "1", *places]) == 0
    assert capsys.readouterr().out == f"1 scenes; labels in {tmp_path / 'labels.jsonl'}\n"


def test_a_missing_package_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Unavailable, match="apt-get install mate-backgrounds plasma-workspace-wallpapers"):
        find_backgrounds([tmp_path])
    arguments = ["--out", str(tmp_path), "--split", "fit", "--count", "1", "--cutouts", str(tmp_path)]
    assert main(arguments) == 1
    assert "apt-get install tuxpaint-stamps-default" in capsys.readouterr().err


def test_too_few_pictures_are_refused(cutouts: list[Cutout], backgrounds: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="3 cut-outs are too few for the split fit"):
        pool(Split.FIT, cutouts[:3], backgrounds)
    with pytest.raises(InvalidInput, match="2 backgrounds are too few"):
        pool(Split.FIT, cutouts, backgrounds[:2])
    with pytest.raises(InvalidInput, match="count is 0"):
        write_scenes(tmp_path, Split.FIT, 0, 1, cutouts=cutouts, backgrounds=backgrounds)


@pytest.mark.parametrize("split", [Split.COUNTING_DATABASE, Split.COUNTING_QUERY])
def test_counting_scenes_hold_the_same_two_kinds_in_three_proportions(
    cutouts: list[Cutout], backgrounds: list[Path], split: Split
) -> None:
    usable = pool(split, cutouts, backgrounds)
    scenes = [compose_counting(usable, index, f"{split}/{index}") for index in range(6)]
    counts = [Counter(placed.cutout.instance for placed in scene.objects) for scene in scenes]
    for group in (counts[:3], counts[3:]):
        first, second = group[1]  # two of each
        assert {(count[first], count[second]) for count in group} == set(COUNTS)
        assert len({name.rpartition("/")[0] for name in group[0]}) == 2
    assert set(counts[0]) != set(counts[3])


def test_queries_and_database_of_the_counting_protocol_show_the_same_kinds_whatever_the_seed(
    tmp_path: Path, cutouts: list[Cutout], backgrounds: list[Path]
) -> None:
    files = [
        write_scenes(tmp_path / split, split, 3, seed, cutouts=cutouts, backgrounds=backgrounds)
        for split, seed in ((Split.COUNTING_DATABASE, 1), (Split.COUNTING_QUERY, 2))
    ]
    database, queries = ([json.loads(line) for line in file.read_text().splitlines()] for file in files)
    assert [Counter(line["instances"]) for line in database] == [Counter(line["instances"]) for line in queries]
    assert not {line["background"] for line in database} & {line["background"] for line in queries}
    assert all(len(line["boxes"]) == 4 * len(line["instances"]) == 16 for line in database)


def test_counting_needs_two_categories(cutouts: list[Cutout], backgrounds: list[Path]) -> None:
    food = [cutout for cutout in cutouts if cutout.category == "food"]
    with pytest.raises(InvalidInput, match="cut-outs of two categories"):
        compose_counting(pool(Split.COUNTING_QUERY, food, backgrounds), 0, "a")


def test_the_pixels_of_the_older_splits_have_not_changed(cutouts: list[Cutout], backgrounds: list[Path]) -> None:
    scene = compose(pool(Split.INSTANCE_DATABASE, cutouts, backgrounds), "setwise scenes 1/instance-database/1/0")
    where = [(placed.cutout.instance, placed.box, placed.flipped) for placed in scene.objects]
    assert where == PLACED_BEFORE_COUNTING
