"""Sets in memory or in memory maps: stacks of equal ones, and lists of any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import FeatureError
from setwise_engine.feature_set import FeatureSet, Grid, Tokens

__all__ = ["Listed", "Stack"]

_SINGLE_MAP = 3


class Stack:
    """An array or tensor (n, t, d) of sets of t tokens, or (n, c, h, w): h * w tokens of c numbers, row by row."""

    ids: tuple[str, ...] | None = None

    def __init__(self, array: Any, name: str, *, grid: Grid | None = None) -> None:
        """grid: of (n, t, d). Raises FeatureError for another shape or type of numbers."""
        shape = tuple(int(size) for size in array.shape)
        if len(shape) not in (3, 4) or 0 in shape[1:]:
            raise FeatureError(f"{name} has shape {shape}; give (n, c, h, w) or (n, t, d)", field=name)
        self._array, self._name = array, name
        maps = len(shape) == 4
        self._grid = Grid(shape[2], shape[3]) if maps else grid
        self.dims = shape[1] if maps else shape[2]
        self.lengths = np.full(shape[0], shape[2] * shape[3] if maps else shape[1], np.int64)
        _check_type(_plain(array[:1], name), name)

    def sets(self, first: int, last: int) -> Tokens:
        """(last - first, t, d)."""
        part = _plain(self._array[first:last], self._name)
        return part if part.ndim == 3 else part.reshape(*part.shape[:2], -1).transpose(0, 2, 1)

    def grid(self, row: int) -> Grid | None:
        """The same for all."""
        return self._grid

    def called(self, row: int) -> str:
        """As the caller indexes it."""
        return f"{self._name}[{row}]"


class Listed:
    """A sequence of arrays, tensors or feature sets, (n_i, d) or maps (c, h_i, w_i) each."""

    def __init__(self, items: Sequence[Any], name: str, *, ids: tuple[str, ...] | None = None) -> None:
        """Raises FeatureError naming an item of another shape, of another d than the first, or of another type."""
        self.ids = ids
        self._name = name
        self._sets: list[Tokens] = []
        self._grids: list[Grid | None] = []
        for row, item in enumerate(items):
            tokens, grid = _tokens(item, self.called(row))
            if tokens.shape[1] != (dims := self._sets[0].shape[1] if self._sets else tokens.shape[1]):
                raise FeatureError(
                    f"{self.called(row)} has tokens of {tokens.shape[1]} numbers, {self.called(0)} of {dims}; "
                    "compare sets of one representation",
                    field=name,
                )
            self._sets.append(tokens)
            self._grids.append(grid)
        self.dims = self._sets[0].shape[1] if self._sets else 0
        self.lengths: NDArray[np.int64] = np.array([len(tokens) for tokens in self._sets], np.int64)

    def sets(self, first: int, last: int) -> list[Tokens]:
        """The items' own arrays."""
        return self._sets[first:last]

    def grid(self, row: int) -> Grid | None:
        """Known for feature sets that say it, and for maps."""
        return self._grids[row]

    def called(self, row: int) -> str:
        """As the caller indexes it, or by its id."""
        return f"{self._name}[{row}]" if self.ids is None else f"set {self.ids[row]!r} of {self._name}"


def _tokens(item: Any, called: str) -> tuple[Tokens, Grid | None]:
    if isinstance(item, FeatureSet):
        return item.tokens, item.grid
    array = _plain(item, called)
    if array.ndim not in (2, _SINGLE_MAP) or array.shape[0 if array.ndim == _SINGLE_MAP else 1] == 0:
        raise FeatureError(f"{called} has shape {array.shape}; give (tokens, numbers) or a map (c, h, w)")
    _check_type(array, called)
    if array.ndim == _SINGLE_MAP:
        return array.reshape(len(array), -1).T, Grid(array.shape[1], array.shape[2])
    return array, None


def _plain(given: Any, called: str) -> NDArray[Any]:
    """The numbers of a numpy array, a torch tensor (on any device, with or without a gradient) or nested lists."""
    if hasattr(given, "detach"):  # torch's, said without importing torch
        given = given.detach().cpu()
        if str(given.dtype) == "torch.bfloat16":  # numpy has none; float32 holds every one of its numbers
            given = given.float()
    try:
        return np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        raise FeatureError(f"{called} is no array of numbers ({error}); give equal rows") from error


def _check_type(array: NDArray[Any], called: str) -> None:
    if array.dtype not in (np.float16, np.float32, np.float64):
        raise FeatureError(f"{called} holds {array.dtype}; give float16, float32 or float64")
