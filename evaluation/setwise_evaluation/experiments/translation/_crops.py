"""Two crops of one image, the second shifted against the first."""

from __future__ import annotations

import random
from collections.abc import Sequence

from setwise_engine.errors import InvalidInput

__all__ = ["Box", "checked_overlaps", "crops"]

Box = tuple[int, int, int, int]

_SMALLEST = 16


def crops(size: tuple[int, int], overlaps: Sequence[float], seed: str) -> list[Box]:
    """Where to crop an image of `size` (width, height): the first crop, then the shifted one of every overlap.

    A crop is a square of side s, as large as the image and the smallest overlap allow; boxes are left, top, right,
    bottom in pixels. The second crop of overlap o lies round((1 - o) s) pixels along the image's longer side. `seed`
    decides which way and where in the image all of them lie; the first crop is the same for every overlap.
    Raises InvalidInput for an image in which the crops would be smaller than 16 pixels.
    """
    rng = random.Random(seed)
    long, short = max(size), min(size)
    side = min(short, int(long / (2.0 - min(overlaps))))
    shifts = [round((1.0 - overlap) * side) for overlap in overlaps]
    reach = side + max(shifts)
    if side < _SMALLEST:
        raise InvalidInput(
            f"an image of {size[0]} x {size[1]} pixels is too small to be cropped at an overlap of {min(overlaps):g}; "
            "give larger images or larger overlaps",
            field="overlaps",
        )
    along, across = rng.randint(0, long - reach), rng.randint(0, short - side)
    backwards = bool(rng.randrange(2))
    starts = [along + (reach - side - shift if backwards else shift) for shift in (0, *shifts)]
    wide = size[0] >= size[1]
    corners = [(start, across) if wide else (across, start) for start in starts]
    return [(left, top, left + side, top + side) for left, top in corners]


def checked_overlaps(overlaps: Sequence[float]) -> tuple[float, ...]:
    """The overlaps, largest first. Raises InvalidInput for none, one twice, or one outside of 0 to 1."""
    ordered = tuple(sorted(overlaps, reverse=True))
    wrong = [overlap for overlap in ordered if not 0.0 <= overlap <= 1.0]
    if not ordered or wrong or len(set(ordered)) < len(ordered):
        raise InvalidInput(
            f"overlaps {', '.join(f'{overlap:g}' for overlap in overlaps)}: give shares of a crop's side, from 0 to 1, "
            "none of them twice",
            field="overlaps",
        )
    return ordered
