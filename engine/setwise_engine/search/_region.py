"""Part of a picture as a query: which tokens lie in a box or under a mask."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize
from setwise_engine.matching import Floats, Indices

__all__ = ["Part", "Region"]

_HALF = 0.5 - 1e-9  # of a cell's area; the rest is rounding of its edges
_SAME_SHAPE = 0.02  # relative difference of two aspect ratios that one pixel more or less explains


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The tokens of a set that take part. tokens: (p,) their indices in `whole`, rising; None for all."""

    whole: FeatureSet
    features: FeatureSet
    tokens: Indices | None = None

    @property
    def is_region(self) -> bool:
        """Whether less than the whole was asked for, even if all tokens lie inside."""
        return self.tokens is not None

    def places(self, tokens: Indices) -> Indices:
        """Indices in the whole set of indices in this part."""
        return tokens if self.tokens is None else self.tokens[tokens]


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A part of a picture: exactly one of box and mask.

    box: left, top, right, bottom in pixels of the EXIF-rotated original; what lies outside the picture is cut off.
    mask: (h, w) bool, True inside, laid over the whole picture: one entry a pixel, one a token of the grid, or any
    other resolution of the picture's shape.
    A token is chosen when at least half of its cell of the grid lies inside; when none is, those whose cells have the
    largest part inside. Raises InvalidInput naming box or mask.
    """

    box: tuple[float, float, float, float] | None = None
    mask: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if (self.box is None) == (self.mask is None):
            raise InvalidInput("a region is a box or a mask; give exactly one of them", field="region")
        if self.box is not None:
            left, top, right, bottom = self.box
            if not all(map(math.isfinite, self.box)) or left >= right or top >= bottom:
                raise InvalidInput(
                    f"box {_shown(self.box)} holds nothing; give left < right and top < bottom in pixels", field="box"
                )
        if self.mask is not None and (self.mask.ndim != 2 or self.mask.dtype != np.bool_ or not self.mask.any()):
            raise InvalidInput(
                f"the mask, {self.mask.dtype} of shape {self.mask.shape}, marks nothing; give a (height, width) array "
                "of bool, True inside",
                field="mask",
            )

    def of(self, features: FeatureSet) -> Part:
        """The part of a set that lies inside. Raises InvalidInput when that cannot be told, or nothing does."""
        if features.grid is None or not len(features):
            raise InvalidInput(
                "the set has no grid, so nobody knows where its tokens stand; give the grid with the set, or leave the "
                "region out"
            )
        inside = self._inside(features.grid, features.image_size).ravel()
        largest = inside.max()
        if largest <= 0.0:
            raise InvalidInput("the region lies outside the picture; give pixels of the upright original")
        tokens = np.flatnonzero(inside >= min(_HALF, largest * (1 - 1e-9))).astype(np.intp)
        part = replace(features, tokens=features.tokens[tokens], grid=None)
        return Part(features, part, tokens)

    def _inside(self, grid: Grid, size: ImageSize | None) -> Floats:
        """The part of each cell's area that lies inside, (rows, columns), in [0, 1]."""
        if self.mask is not None:
            _check_shape(self.mask, grid, size)
            return _covered(self.mask, grid)
        assert self.box is not None
        if size is None:
            raise InvalidInput(
                "the set does not tell its image's size, so pixels mean nothing to it; give image_size with the set, "
                "or a mask over its grid",
                field="box",
            )
        left, top, right, bottom = self.box
        across = _overlaps(grid.columns, left / size.width, right / size.width)
        down = _overlaps(grid.rows, top / size.height, bottom / size.height)
        return np.outer(down, across)


def _overlaps(cells: int, first: float, last: float) -> Floats:
    """The part of each of `cells` equal cells of [0, 1] that lies in [first, last]."""
    edges = np.arange(cells + 1) / cells
    parts: Floats = np.clip((np.minimum(edges[1:], last) - np.maximum(edges[:-1], first)) * cells, 0.0, 1.0)
    return parts


def _covered(mask: NDArray[np.bool_], grid: Grid) -> Floats:
    """The part of each cell that a mask laid over all of them covers. Counted in place: a mask may have a hundred
    million entries, and a float for each, or for each column of the grid, would be gigabytes."""
    height, width = mask.shape
    across = [_span(width, grid.columns, column) for column in range(grid.columns)]
    covered = np.empty(grid)
    for row in range(grid.rows):
        first, last, above, below = _span(height, grid.rows, row)
        for column, (left, right, *sides) in enumerate(across):
            covered[row, column] = _weighed(mask[first:last, left:right], above, below, *sides)
    fraction: Floats = covered * (grid.rows / height) * (grid.columns / width)
    return fraction


def _span(entries: int, cells: int, cell: int) -> tuple[int, int, float, float]:
    """Which of `entries` equal entries one of `cells` equal cells touches: first, last + 1, and the parts of the first
    and of the last that lie outside."""
    first, last = cell * entries, (cell + 1) * entries
    return first // cells, -(-last // cells), first % cells / cells, -last % cells / cells


def _weighed(tile: NDArray[np.bool_], above: float, below: float, before: float, after: float) -> float:
    """The entries of a tile that are true, less the parts of its outermost rows and columns that lie outside."""

    def within(line: NDArray[np.bool_]) -> float:
        return float(np.count_nonzero(line) - before * line[0] - after * line[-1])

    total = float(np.count_nonzero(tile))
    total -= before and before * np.count_nonzero(tile[:, 0])
    total -= after and after * np.count_nonzero(tile[:, -1])
    total -= above and above * within(tile[0])
    return total - (below and below * within(tile[-1]))


def _check_shape(mask: NDArray[np.bool_], grid: Grid, size: ImageSize | None) -> None:
    """A mask that is neither the grid nor of the picture's shape is a mistake: most often, made before rotation."""
    height, width = mask.shape
    if (height, width) == tuple(grid) or size is None:
        return
    slack = _SAME_SHAPE + 1 / height + 1 / width
    if abs(math.log(width / height) - math.log(size.width / size.height)) > slack:
        raise InvalidInput(
            f"the mask is {width} wide and {height} high, but the image {size.width} x {size.height} and its grid "
            f"{grid.columns} x {grid.rows}; give one of the image's shape, after its EXIF rotation",
            field="mask",
        )


def _shown(box: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{edge:g}" for edge in box) + ")"
