"""What an RSM can be made of, brought to one form: N sets of tokens, read a few at a time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection import Collection
from setwise_engine.errors import InvalidInput, NotFound
from setwise_engine.feature_set import FeatureSet, Grid, Tokens
from setwise_evaluation.activations import Activations
from setwise_evaluation.rsm._arrays import Listed, Stack
from setwise_evaluation.rsm._stored import Stored

__all__ = ["Source", "source_of"]


class Source(Protocol):
    """N sets of tokens of d numbers.

    ids: of the images, in the order of the rows; None where they have none. lengths: (N,) int64, tokens of each set.
    """

    ids: tuple[str, ...] | None
    lengths: NDArray[np.int64]
    dims: int

    def sets(self, first: int, last: int) -> Sequence[Tokens] | Tokens:
        """Tokens of the sets first to last - 1, (n_i, d) of any float type each: a list, or one array."""
        ...

    def grid(self, row: int) -> Grid | None:
        """Where the set's tokens stood; None where that is unknown."""
        ...

    def called(self, row: int) -> str:
        """The set's name in an error."""
        ...


def source_of(given: Any, name: str) -> Source:
    """`given` as a source; name: what errors call it, "a" or "b".

    Raises FeatureError for arrays that are no sets, InvalidInput for anything else that is none or for no images at
    all, NotFound for a path where nothing is, and what opening a collection raises.
    """
    source = _source(given, name)
    if len(source.lengths) == 0:
        raise InvalidInput(f"{name} holds no images; give at least one", field=name)
    return source


def _source(given: Any, name: str) -> Source:
    if isinstance(given, (str, os.PathLike)):
        return _from_path(Path(given), name)
    if isinstance(given, Collection):
        return Stored(given)
    if isinstance(given, Activations):
        return Stack(given.tokens, name, grid=Grid(*given.grid))
    if isinstance(given, FeatureSet):
        raise InvalidInput(f"{name} is one feature set; give a list of them, one an image", field=name)
    if hasattr(given, "ndim") and hasattr(given, "shape"):  # an array of numpy's or a tensor of torch's
        return Stack(given, name)
    if isinstance(given, Sequence):
        return Listed(given, name)
    raise InvalidInput(
        f"{name} is a {type(given).__name__}; give an array (n, c, h, w) or (n, t, d), a list of arrays (n_i, d), or a "
        "collection",
        field=name,
    )


def _from_path(path: Path, name: str) -> Source:
    if path.suffix == ".npy" and path.is_file():
        return Stack(_loaded(path, name), name)
    if path.suffix == ".npz" and path.is_file():
        return _from_archive(path, name)
    if path.is_file():
        raise InvalidInput(f"{path} is neither .npy nor .npz; give such a file or a collection's folder", field=name)
    if not path.exists():
        raise NotFound(f"there is no {path}; give a collection's folder, an .npy or an .npz file", field=name)
    with Collection.open(path, read_only=True) as collection:
        return Stored(collection)


def _loaded(path: Path, name: str) -> Any:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InvalidInput(f"{path} is no readable array ({error}); write it with numpy.save", field=name) from error


def _from_archive(path: Path, name: str) -> Source:
    """One stack, or sets by their names, which become the ids."""
    with _loaded(path, name) as archive:
        arrays = dict(archive)
    stacks = [key for key, array in arrays.items() if array.ndim in (3, 4)]
    if len(arrays) == 1 and stacks:
        return Stack(arrays[stacks[0]], name)
    if stacks:
        raise InvalidInput(
            f"{path} holds {len(arrays)} arrays ({', '.join(arrays)}); keep one array of activations in a file, or one "
            "array (n, d) an image",
            field=name,
        )
    return Listed(list(arrays.values()), name, ids=tuple(arrays))
