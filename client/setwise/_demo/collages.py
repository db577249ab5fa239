"""Pictures composed of several photos, and the same photos composed otherwise, all before any network sees them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path, PurePath

from PIL import Image, ImageOps

__all__ = ["Question", "compose", "shown", "write_insets", "write_rearranged"]

_TILE = (320, 240)
_INSET = (288, 216)
_MARGIN = 12
_SEED = 2024


@dataclass(frozen=True, slots=True)
class Question:
    """A picture to ask with, the photos it shows, and the id of the indexed picture that shows the same ones."""

    query: Path
    shows: frozenset[str]
    answer: str


def write_rearranged(photos: Sequence[Path], pictures: Path, queries: Path) -> list[Question]:
    """Write collages of four photos, no two with three in common, and each again with no photo at its old place."""
    draw = random.Random(_SEED)
    questions = []
    for four in _spread(draw.sample(list(combinations(photos, 4)), 210)):
        order = draw.sample(four, 4)
        query, answer = queries / _name(order[::-1]), pictures / _name(order)
        compose(order).save(answer, quality=90)
        compose(order[::-1]).save(query, quality=90)
        questions.append(Question(query, shown(answer.name), f"{pictures.name}/{answer.name}"))
    return questions


def write_insets(photos: Sequence[Path], pictures: Path, queries: Path) -> list[Question]:
    """Write two photos laid on a third for each pair, and every third pair again, moved and on another ground."""
    draw = random.Random(_SEED)
    questions = []
    for number, pair in enumerate(draw.sample(list(combinations(photos, 2)), 45)):
        ground, other = draw.sample([photo for photo in photos if photo not in pair], 2)
        corners = draw.sample(_corners(), 4)
        answer = pictures / _name((*pair, ground))
        _lay(ground, pair, corners[:2]).save(answer, quality=90)
        if number % 3 == 0:
            query = queries / _name((*pair, other))
            _lay(other, pair, corners[2:]).save(query, quality=90)
            questions.append(Question(query, shown(query.name), f"{pictures.name}/{answer.name}"))
    return questions


def shown(name: str) -> frozenset[str]:
    """The photos that a picture shows, read off its id or file name."""
    return frozenset(PurePath(name).stem.split("-"))


def compose(photos: Sequence[Path], columns: int = 2) -> Image.Image:
    """Lay photos out row by row, each cropped to fill its tile."""
    width, height = _TILE
    canvas = Image.new("RGB", (width * columns, height * -(-len(photos) // columns)))
    for place, path in enumerate(photos):
        canvas.paste(_cropped(path, _TILE), (place % columns * width, place // columns * height))
    return canvas


def _spread(sets: Sequence[tuple[Path, ...]]) -> list[tuple[Path, ...]]:
    """As many of the sets, first come first served, as have no three members in common with an earlier one."""
    kept: list[tuple[Path, ...]] = []
    for candidate in sets:
        if all(len({*candidate} & {*earlier}) < 3 for earlier in kept):
            kept.append(candidate)
    return kept


def _lay(ground: Path, photos: Sequence[Path], corners: Sequence[tuple[int, int]]) -> Image.Image:
    canvas = _cropped(ground, (2 * _TILE[0], 2 * _TILE[1]))
    for path, corner in zip(photos, corners, strict=True):
        canvas.paste(_cropped(path, _INSET), corner)
    return canvas


def _corners() -> list[tuple[int, int]]:
    right, bottom = 2 * _TILE[0] - _INSET[0] - _MARGIN, 2 * _TILE[1] - _INSET[1] - _MARGIN
    return [(x, y) for x in (_MARGIN, right) for y in (_MARGIN, bottom)]


def _cropped(path: Path, size: tuple[int, int]) -> Image.Image:
    with Image.open(path) as photo:
        return ImageOps.fit(photo.convert("RGB"), size, Image.Resampling.LANCZOS)


def _name(photos: Sequence[Path]) -> str:
    return "-".join(path.stem for path in photos) + ".jpg"
