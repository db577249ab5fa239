"""The demo's pictures: what they show, and that they are rearranged in pixels."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from setwise._demo.collages import compose, shown, write_insets, write_rearranged


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    pictures, queries = tmp_path / "pictures", tmp_path / "queries"
    pictures.mkdir()
    queries.mkdir()
    return pictures, queries


def test_a_rearranged_collage_shows_the_same_photos_all_at_other_places(
    photos: list[Path], folders: tuple[Path, Path]
) -> None:
    pictures, queries = folders
    for question in write_rearranged(photos, pictures, queries):
        answer = Path(question.answer)
        before, after = answer.stem.split("-"), question.query.stem.split("-")
        assert sorted(before) == sorted(after) and shown(answer.name) == question.shows
        assert all(a != b for a, b in zip(before, after, strict=True))


def test_no_two_collages_have_three_photos_in_common(photos: list[Path], folders: tuple[Path, Path]) -> None:
    write_rearranged(photos, *folders)
    collages = [shown(path.name) for path in folders[0].iterdir()]
    assert len(collages) == 20
    assert max(len(a & b) for a, b in combinations(collages, 2)) == 2


def test_two_photos_are_asked_for_again_on_another_ground(photos: list[Path], folders: tuple[Path, Path]) -> None:
    questions = write_insets(photos, *folders)
    assert len(questions) == 15 and len(list(folders[0].iterdir())) == 45
    for question in questions:
        assert len(question.shows & shown(question.answer)) == 2


def test_a_collage_holds_each_photo_in_its_tile(photos: list[Path]) -> None:
    forward, backward = (np.asarray(compose(four)) for four in (photos[:4], photos[3::-1]))
    assert forward.shape == (480, 640, 3)
    assert np.array_equal(forward[:240, :320], backward[240:, 320:])
    assert not np.array_equal(forward, backward)


def test_the_same_pictures_come_out_every_time(photos: list[Path], tmp_path: Path) -> None:
    runs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_rearranged(photos, tmp_path / name, tmp_path / name)
        runs.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert runs[0] == runs[1]
    for name in runs[0]:
        with Image.open(tmp_path / "one" / name) as picture:
            assert picture.size == (640, 480)
