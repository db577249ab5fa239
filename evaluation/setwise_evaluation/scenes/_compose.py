"""One scene: a background, two to five cut-outs, and what stands where."""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image

from setwise_evaluation.scenes._assets import Cutout, load_background, load_cutout, picture_name
from setwise_evaluation.scenes._splits import Pool

__all__ = ["Placed", "Scene", "compose"]

_LONG_SIDE = (110, 290)
_MAX_ENLARGE = 3
_MAX_OVERLAP = 0.25
_ATTEMPTS = 25

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Placed:
    """A cut-out in a scene; `box` is left, top, right, bottom in pixels."""

    cutout: Cutout
    box: Box
    flipped: bool


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A composed picture (RGB) and its labels; later objects stand in front of earlier ones."""

    image: Image.Image
    objects: tuple[Placed, ...]
    background: str


def compose(pool: Pool, seed: str, size: tuple[int, int] = (640, 480)) -> Scene:
    """The scene that `seed` stands for: all its objects are of different categories.

    Only `random.Random` seeded with a string and Pillow's integer arithmetic are used, so that equal seeds give equal
    pixels on every machine with the same Pillow.
    """
    rng = random.Random(seed)
    path = pool.backgrounds[rng.randrange(len(pool.backgrounds))]
    canvas = _behind(load_background(path), size, rng)
    categories = sorted(pool.cutouts)
    chosen = rng.sample(categories, min(rng.randint(2, 5), len(categories)))
    placed: list[Placed] = []
    for category in chosen:
        cutout = rng.choice(pool.cutouts[category])
        picture, flipped = _varied(load_cutout(cutout.path), rng)
        box = _place(picture.size, size, [other.box for other in placed], rng)
        canvas.paste(picture, box[:2], picture)
        placed.append(Placed(cutout, box, flipped))
    return Scene(canvas, tuple(placed), picture_name(path))


def _behind(background: Image.Image, size: tuple[int, int], rng: random.Random) -> Image.Image:
    """A random window of the background with the scene's proportions, perhaps mirrored."""
    width, height = size
    largest = min(background.width * height, background.height * width)  # both sides' limits, times height * width
    share = rng.randint(50, 100)
    window = (largest * share // (100 * height), largest * share // (100 * width))
    left = rng.randint(0, background.width - window[0])
    top = rng.randint(0, background.height - window[1])
    box = (left, top, left + window[0], top + window[1])
    scene = background.resize(size, Image.Resampling.BILINEAR, box=box)
    return scene.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.randrange(2) else scene


def _varied(cutout: Image.Image, rng: random.Random) -> tuple[Image.Image, bool]:
    """The cut-out at a random size (small ones are not blown up beyond recognition), perhaps mirrored."""
    long_side = max(cutout.size)
    side = min(rng.randint(*_LONG_SIDE), long_side * _MAX_ENLARGE)
    size = (max(1, cutout.width * side // long_side), max(1, cutout.height * side // long_side))
    picture = cutout.resize(size, Image.Resampling.BICUBIC)
    flipped = bool(rng.randrange(2))
    return (picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flipped else picture), flipped


def _place(size: tuple[int, int], scene: tuple[int, int], others: list[Box], rng: random.Random) -> Box:
    """A random place inside the scene that hides little of the others; the best of some attempts if none does."""
    best: tuple[float, Box] | None = None
    for _ in range(_ATTEMPTS):
        left, top = rng.randint(0, scene[0] - size[0]), rng.randint(0, scene[1] - size[1])
        box = (left, top, left + size[0], top + size[1])
        hidden = max((_overlap(box, other) for other in others), default=0.0)
        if best is None or hidden < best[0]:
            best = (hidden, box)
        if hidden <= _MAX_OVERLAP:
            break
    assert best is not None
    return best[1]


def _overlap(a: Box, b: Box) -> float:
    """Share of the smaller box that lies inside the other."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(0, width) * max(0, height) / smaller
