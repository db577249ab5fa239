"""A ready-made feature set, and the id of a stored image: the two queries that are no pictures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from setwise._errors import InvalidArgumentError

__all__ = ["FeatureSet", "Grid", "Id", "ImageSize", "Stage"]


class Grid(NamedTuple):
    """Positions of an image's tokens, row by row from the top left."""

    rows: int
    columns: int


class ImageSize(NamedTuple):
    """Pixels of an image after its EXIF orientation was applied."""

    width: int
    height: int


class Stage(StrEnum):
    """How far a set has come: straight from a network, or through a collection's encoder."""

    RAW = "raw"
    ENCODED = "encoded"


@dataclass(frozen=True, slots=True)
class Id:
    """An image that the collection stores, to be used as a query.

    client.search(setwise.Id("holiday/beach.jpg"))

    A plain string is always a path to a file; this type says that an id is meant.
    """

    value: str

    def __post_init__(self) -> None:
        if not isinstance(self.value, str) or not self.value:
            raise InvalidArgumentError(f"an id is a string that is not empty, not {self.value!r}", field="id")
        try:
            self.value.encode()
        except UnicodeEncodeError:
            raise InvalidArgumentError(f"id {self.value!r} cannot be written in UTF-8", field="id") from None

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FeatureSet:
    """One image as n vectors of d numbers, from a network of your own.

    client.search(setwise.FeatureSet(tokens, grid=(16, 16), model="my-network"))

    tokens: (n, d) float16 or float32, finite. An array of that shape is one query, never n queries.
    grid: (rows, columns) with rows * columns = n; image_size: (width, height) in pixels; both only to draw answers.
    stage: "raw" (the collection's encoder is still to be applied) or "encoded" (it has been).
    model, encoder: fingerprints; the server refuses a set of another model or encoder than the collection's.
    Raises InvalidArgumentError when the tokens are not such an array or the grid does not hold n positions.
    """

    tokens: NDArray[np.floating[Any]]
    grid: Grid | None = None
    image_size: ImageSize | None = None
    stage: Stage = Stage.RAW
    model: str = ""
    encoder: str = ""

    def __init__(
        self,
        tokens: ArrayLike,
        grid: tuple[int, int] | None = None,
        image_size: tuple[int, int] | None = None,
        *,
        stage: Stage | str = Stage.RAW,
        model: str = "",
        encoder: str = "",
    ) -> None:
        checked = _check_tokens(tokens)
        positions = None if grid is None else Grid(*grid)
        if positions is not None and positions.rows * positions.columns != len(checked):
            raise InvalidArgumentError(f"grid {tuple(positions)} does not hold {len(checked)} tokens", field="grid")
        if stage not in set(Stage):
            raise InvalidArgumentError(f"stage is {stage!r}; give 'raw' or 'encoded'", field="stage")
        size = None if image_size is None else ImageSize(*image_size)
        facts = {"tokens": checked, "grid": positions, "image_size": size, "stage": Stage(stage)}
        for name, value in (facts | {"model": model, "encoder": encoder}).items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        """Number of tokens, n."""
        return int(self.tokens.shape[0])

    @property
    def dims(self) -> int:
        """Numbers in a token, d."""
        return int(self.tokens.shape[1])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FeatureSet):
            return NotImplemented
        return self._facts() == other._facts() and np.array_equal(self.tokens, other.tokens)

    def __hash__(self) -> int:
        return hash((self.tokens.shape, *self._facts()))

    def _facts(self) -> tuple[object, ...]:
        return (self.tokens.dtype, self.grid, self.image_size, self.stage, self.model, self.encoder)

    def __repr__(self) -> str:
        grid = f", grid {self.grid.rows}x{self.grid.columns}" if self.grid else ""
        model = f", model {self.model!r}" if self.model else ""
        return f"FeatureSet({len(self)} tokens x {self.dims} {self.tokens.dtype}, {self.stage}{grid}{model})"


def _check_tokens(tokens: ArrayLike) -> NDArray[np.floating[Any]]:
    array = np.asarray(tokens)
    if array.ndim != 2 or array.shape[1] == 0:
        raise InvalidArgumentError(f"tokens have shape {array.shape}; give an array of shape (n, d)", field="tokens")
    native = array.dtype.newbyteorder("=")
    if native not in (np.float16, np.float32):
        advice = "give float16 or float32, for example tokens.astype('float32')"
        raise InvalidArgumentError(f"tokens have dtype {array.dtype}; {advice}", field="tokens")
    if not np.isfinite(array).all():
        raise InvalidArgumentError("tokens hold NaN or infinity; every number must be finite", field="tokens")
    return np.ascontiguousarray(array, native)
