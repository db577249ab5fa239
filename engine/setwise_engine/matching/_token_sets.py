"""Sets of float32 tokens that lie together, as the analysis of whole representations takes them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from setwise_engine.errors import FeatureError
from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching._paths import Path
from setwise_engine.matching._types import Floats

__all__ = ["TokenSets", "token_sets"]

_Singles = NDArray[np.float32]


class TokenSets:
    """Sets of tokens, checked once and laid side by side in float32.

    tokens: (t, d) float32, C-contiguous: all sets' tokens, one set after the other. offsets: (rows + 1,) int64; set r
    holds tokens[offsets[r] : offsets[r + 1]]. squares: (rows,) float64, |X|^2 of every set, summed in float64.
    """

    __slots__ = ("_prepared", "offsets", "squares", "tokens")

    def __init__(self, sets: Sequence[FeatureSet | ArrayLike] | NDArray[np.generic], *, name: str = "a") -> None:
        """sets: arrays (n_i, d) of float16, float32 or float64 (rounded to float32), or feature sets; n_i may be 0.

        name: what an error calls them. Raises FeatureError, naming the set as name[i], for anything else: another
        shape or type, sets that differ in d, NaN, infinity, or numbers beyond float32.
        """
        arrays = [_array(one, f"{name}[{row}]") for row, one in enumerate(sets)]
        dims = arrays[0].shape[1] if arrays else 0
        for row, array in enumerate(arrays):
            if array.shape[1] != dims:
                raise FeatureError(
                    f"{name}[{row}] has tokens of {array.shape[1]} numbers, {name}[0] of {dims}; "
                    "compare sets of one representation",
                    field=name,
                )
        self.offsets = np.zeros(len(arrays) + 1, np.int64)
        np.cumsum([len(array) for array in arrays], out=self.offsets[1:])
        self.tokens: _Singles = np.empty((int(self.offsets[-1]), dims), np.float32)
        self.squares: Floats = np.empty(len(arrays))
        for row, array in enumerate(arrays):
            own = self[row]
            with np.errstate(over="ignore", invalid="ignore"):
                own[:] = array
                self.squares[row] = square = np.vdot(own.astype(np.float64), own.astype(np.float64))
            if not np.isfinite(square):
                raise FeatureError(f"{name}[{row}] holds NaN, infinity or a number beyond float32", field=name)
        self._prepared: tuple[str, object] = "", None

    def prepared(self, path: Path, *, threads: int, check: Callable[[], None]) -> object:
        """The kernel's own form of these sets, made once for a level."""
        assert path.kernel is not None
        if self._prepared[0] != path.name:
            made = path.kernel.Sets(self.tokens, self.offsets, self.squares, threads, check, **path.options)
            self._prepared = path.name, made
        return self._prepared[1]

    def __len__(self) -> int:
        return len(self.squares)

    def __getitem__(self, row: int) -> _Singles:
        """(n, d) float32: the tokens of one set, no copy."""
        first, last = self.offsets[row : row + 2]
        return self.tokens[first:last]

    def __iter__(self) -> Iterator[_Singles]:
        return (self.tokens[first:last] for first, last in itertools.pairwise(self.offsets.tolist()))


def token_sets(
    sets: TokenSets | Sequence[FeatureSet | ArrayLike] | NDArray[np.generic], name: str, like: TokenSets | None = None
) -> TokenSets:
    """The sets themselves when they are prepared, else prepared. Raises FeatureError when their d is another."""
    made = sets if isinstance(sets, TokenSets) else TokenSets(sets, name=name)
    if like is not None and len(made) and len(like) and made.tokens.shape[1] != like.tokens.shape[1]:
        raise FeatureError(
            f"{name} has tokens of {made.tokens.shape[1]} numbers, the others {like.tokens.shape[1]}; "
            "compare sets of one representation",
            field=name,
        )
    return made


def _array(one: FeatureSet | ArrayLike, name: str) -> NDArray[np.generic]:
    tokens = one.tokens if isinstance(one, FeatureSet) else np.asarray(one)
    if tokens.ndim != 2 or tokens.dtype not in (np.float16, np.float32, np.float64):
        raise FeatureError(
            f"{name} is {tokens.dtype} of shape {tokens.shape}; give (tokens, numbers) of float16, float32 or float64",
            field=name.partition("[")[0],
        )
    return tokens
