"""One scene: a background, two to five cut-outs, and what stands where."""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image

from setwise_engine.errors import InvalidInput
from setwise_evaluation.scenes._assets import Cutout, load_background, load_cutout, picture_name
from setwise_evaluation.scenes._splits import Pool

__all__ = ["COUNTS", "Placed", "Scene", "compose", "compose_counting"]

COUNTS = ((3, 1), (2, 2), (1, 3))
"""How often the two kinds of a counting scene stand in it: always four objects, so that area alone tells nothing."""

_LONG_SIDE = (110, 290)
_COUNTING_SIDE = (140, 180)  # much the same for all: a kind's area follows its number
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
        placed.append(_put(canvas, cutout, placed, rng, sides=_LONG_SIDE, most_hidden=_MAX_OVERLAP))
    return Scene(canvas, tuple(placed), picture_name(path))


def compose_counting(pool: Pool, index: int, seed: str, size: tuple[int, int] = (640, 480)) -> Scene:
    """The counting scene number `index`: four objects of two kinds, as many of each as `COUNTS` says for index % 3.

    Three scenes in a row are of the same kinds, which the index alone chooses: those of the queries are those of the
    database, whatever the seeds. The seed decides the rest: background, places, sizes, flips. No object hides another
    where there is room; sizes hardly differ. Raises InvalidInput when the pool has fewer than two categories.
    """
    kinds = _kinds(pool, index // len(COUNTS))
    rng = random.Random(seed)
    path = pool.backgrounds[rng.randrange(len(pool.backgrounds))]
    canvas = _behind(load_background(path), size, rng)
    objects = [kind for kind, count in zip(kinds, COUNTS[index % len(COUNTS)], strict=True) for _ in range(count)]
    rng.shuffle(objects)
    placed: list[Placed] = []
    for cutout in objects:
        placed.append(_put(canvas, cutout, placed, rng, sides=_COUNTING_SIDE, most_hidden=0.0))
    return Scene(canvas, tuple(placed), picture_name(path))


def _kinds(pool: Pool, group: int) -> list[Cutout]:
    """Two cut-outs of different categories."""
    if len(pool.cutouts) < 2:
        raise InvalidInput("counting needs cut-outs of two categories; give a larger folder with --cutouts")
    rng = random.Random(f"setwise scenes 1/counting kinds/{group}")
    return [rng.choice(pool.cutouts[category]) for category in rng.sample(sorted(pool.cutouts), 2)]


def _put(
    canvas: Image.Image,
    cutout: Cutout,
    others: list[Placed],
    rng: random.Random,
    *,
    sides: tuple[int, int],
    most_hidden: float,
) -> Placed:
    """Paste the cut-out, its long side somewhere between `sides`, where it hides little of the others."""
    picture, flipped = _varied(load_cutout(cutout.path), rng, sides)
    box = _place(picture.size, canvas.size, [other.box for other in others], rng, most_hidden)
    canvas.paste(picture, box[:2], picture)
    return Placed(cutout, box, flipped)


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


def _varied(cutout: Image.Image, rng: random.Random, sides: tuple[int, int]) -> tuple[Image.Image, bool]:
    """The cut-out at a random size (small ones are not blown up beyond recognition), perhaps mirrored."""
    long_side = max(cutout.size)
    side = min(rng.randint(*sides), long_side * _MAX_ENLARGE)
    size = (max(1, cutout.width * side // long_side), max(1, cutout.height * side // long_side))
    picture = cutout.resize(size, Image.Resampling.BICUBIC)
    flipped = bool(rng.randrange(2))
    return (picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flipped else picture), flipped


def _place(
    size: tuple[int, int], scene: tuple[int, int], others: list[Box], rng: random.Random, most_hidden: float
) -> Box:
    """A random place inside the scene that hides little of the others; the best of some attempts if none does."""
    best: tuple[float, Box] | None = None
    for _ in range(_ATTEMPTS):
        left, top = rng.randint(0, scene[0] - size[0]), rng.randint(0, scene[1] - size[1])
        box = (left, top, left + size[0], top + size[1])
        hidden = max((_overlap(box, other) for other in others), default=0.0)
        if best is None or hidden < best[0]:
            best = (hidden, box)
        if hidden <= most_hidden:
            break
    assert best is not None
    return best[1]


def _overlap(a: Box, b: Box) -> float:
    """Share of the smaller box that lies inside the other."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(0, width) * max(0, height) / smaller
