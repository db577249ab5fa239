"""Ready-made feature sets: .npy and .safetensors files, each one set or many."""

from __future__ import annotations

import threading
import tokenize
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from setwise_engine.errors import FeatureError
from setwise_indexer._items import Failure, Item, Listing, refuse_duplicates
from setwise_indexer._read import why_unreadable

__all__ = ["SET_SUFFIXES", "SetFiles", "expand_sets"]

SET_SUFFIXES = frozenset({".npy", ".safetensors"})

Array = NDArray[Any]

# What numpy and safetensors meet bytes with that are not theirs; numpy reads its header as Python would.
_UNREADABLE = (SafetensorError, ValueError, EOFError, TypeError, tokenize.TokenError)


class _Npy:
    """One array: (n, d) is one set, (images, n, d) sets named 0, 1, ..."""

    def __init__(self, path: str) -> None:
        self._array: Array = np.load(path, mmap_mode="r", allow_pickle=False)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"": self._array.shape}

    def read(self, name: str, row: int | None) -> Array:
        if name:
            raise KeyError(name)
        return np.array(self._array if row is None else self._array[row])


class _Safetensors:
    """Named arrays, each (n, d) one set, or (images, n, d) sets named name/0, name/1, ..."""

    def __init__(self, path: str) -> None:
        self._file = safe_open(path, framework="numpy")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(self._file.get_slice(name).get_shape()) for name in self._file.keys()}  # noqa: SIM118

    def read(self, name: str, row: int | None) -> Array:
        if row is None:
            return np.asarray(self._file.get_tensor(name))
        return np.asarray(self._file.get_slice(name)[row])


class SetFiles:
    """Opens each file of sets once and keeps the last few open. Thread-safe."""

    def __init__(self, keep: int = 8) -> None:
        self._keep, self._lock = keep, threading.Lock()
        self._open: dict[str, _Npy | _Safetensors] = {}

    def sets(self, path: str) -> dict[str, tuple[int, ...]]:
        """Key and shape of every set of a file; key "" for a file that is one set.

        Raises FeatureError when it is no such file. A tensor of another rank is listed with the shape it has.
        """
        try:
            return dict(_unstack(self._get(path).shapes()))
        except _UNREADABLE as error:
            raise FeatureError(f"no readable .npy or .safetensors file: {error}; write it again") from None

    def tokens(self, item: Item) -> Array:
        """The tokens of one set, as they stand in the file. Raises FeatureError when they cannot be read."""
        try:
            file = self._get(item.path)
            name, row = item.key, None
            if name not in file.shapes():
                name, _, number = name.rpartition("/")
                row = int(number)
            return file.read(name, row)
        except (*_UNREADABLE, KeyError, IndexError) as error:
            raise FeatureError(f"the set cannot be read: {error}; write the file again") from None

    def _get(self, path: str) -> _Npy | _Safetensors:
        with self._lock:
            file = self._open.pop(path, None) or (_Npy if path.lower().endswith(".npy") else _Safetensors)(path)
            self._open[path] = file
            while len(self._open) > self._keep:
                self._open.pop(next(iter(self._open)))
            return file


def _unstack(shapes: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, shape in shapes.items():
        if len(shape) == 3:
            yield from ((f"{name}/{row}" if name else str(row), shape[1:]) for row in range(shape[0]))
        else:
            yield name, shape


def expand_sets(listing: Listing, files: SetFiles, *, bare: bool) -> Listing:
    """Put the sets of each file in its place; their ids are `<file's id>/<key>`, or the keys alone if bare.

    Raises InvalidInput when two sets get one id.
    """
    found = replace(listing, items=[], failures=list(listing.failures))
    for item in listing.items:
        try:
            _expand(item, files.sets(item.path), found, bare=bare)
        except (FeatureError, OSError) as error:
            reason = why_unreadable(error) if isinstance(error, OSError) else str(error)
            found.complete = False
            found.failures.append(Failure(str(item), item.id, reason))
    found.items.sort(key=lambda item: item.id.encode())
    refuse_duplicates(found.items)
    return found


def _expand(item: Item, sets: dict[str, tuple[int, ...]], found: Listing, *, bare: bool) -> None:
    if item.key and item.key not in sets:
        raise FeatureError(f"{Path(item.path).name} holds no set {item.key!r}; it has {len(sets)} others")
    for key, shape in sets.items():
        if item.key and key != item.key:
            continue
        identity = item.id if item.key or not key else key if bare else f"{item.id}/{key}"
        if len(shape) == 2 and shape[1]:
            found.items.append(replace(item, id=identity, key=key, shape=(shape[0], shape[1])))
        else:
            place = str(replace(item, key=key))
            found.failures.append(Failure(place, identity, f"shape {shape} is no set; give (n, d) with d at least 1"))
