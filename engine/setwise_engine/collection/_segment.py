"""A segment mapped into memory: arrays are views into the file, never copies."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._layout import Tensor, checked_names, has_births, has_gate, parse, shapes
from setwise_engine.collection._mapping import map_file
from setwise_engine.collection._segment_writer import ABSENT, crc32c
from setwise_engine.collection._types import SegmentEntry
from setwise_engine.errors import CollectionError, CorruptError
from setwise_engine.feature_set import Grid, ImageSize
from setwise_engine.matching import Block, Gate

__all__ = ["Segment", "check_size"]


class Segment:
    """One mapped segment. Views stay valid after the segment was dropped: each keeps the mapping alive.

    data: the file's bytes. offsets: (rows + 1,) int64. births: (rows,) int64, rising; None where each row lies where it
    was born. block: its arrays as the matching takes them, with the gate where one is stored.
    """

    def __init__(self, folder: Path, entry: SegmentEntry, *, collection: str, dims: int, coarse: int) -> None:
        """Maps the file and checks it against what the catalog says of it.

        Raises CorruptError naming the file when it is missing, of another size, another's or damaged, and FormatError
        when it is of a newer version.
        """
        self.file = entry.file
        self.rows = entry.rows
        self._coarse_checked = False
        self.data = data = _map(folder, entry)
        places, self._metadata = _places(data, entry)
        owner = (self._metadata.get("collection"), self._metadata.get("segment"))
        if owner != (collection, str(entry.id)):
            raise CorruptError(f"segment {entry.file} belongs to another collection or place; restore it from a backup")
        gate, births = has_gate(self._metadata), has_births(self._metadata)
        wanted = shapes(entry.rows, entry.tokens, dims, coarse, entry.thumbnail_bytes, gate=gate, births=births)
        for name, place in places.items():
            if (place.dtype, place.shape) != (wanted[name].dtype, wanted[name].shape):
                raise CorruptError(f"tensor {name!r} of segment {entry.file} is not what the catalog says; restore it")
        self._arrays = {name: _view(data, place) for name, place in places.items()}
        self.offsets: NDArray[np.int64] = self._arrays["offsets"]
        self._tokens: NDArray[np.float16] = self._arrays["tokens"]
        for name in checked_names(gate=gate, births=births):
            if name != "coarse":
                self._check(name)
        if self.offsets[0] != 0 or self.offsets[-1] != entry.tokens or (np.diff(self.offsets) < 0).any():
            raise CorruptError(f"offsets of segment {entry.file} do not rise to its tokens; restore it from a backup")
        self.births: NDArray[np.int64] | None = self._arrays.get("births")
        if self.births is not None and (np.diff(self.births) <= 0).any():
            raise CorruptError(f"births of segment {entry.file} do not rise; restore it from a backup")
        stored = [self._arrays[f"gate_{part.name}"] for part in dataclasses.fields(Gate)] if gate else []
        self._by_token, self._means = stored[:-1], stored[-1:]
        self.block = Block(self._tokens, self.offsets, self._arrays["squares"], Gate(*stored) if gate else None)

    def array(self, name: str) -> NDArray[Any]:
        """A tensor of the file by its name (docs/format.md); not checked."""
        return self._arrays[name]

    def parts(self) -> Iterator[NDArray[Any]]:
        """The arrays that rows are read from: the tokens, and the gate's where one is stored."""
        yield self._tokens
        yield from self._by_token
        yield from self._means

    def tokens(self, row: int, id: str | Callable[[], str] = "") -> NDArray[np.float16]:
        """The row's tokens (n, d), read-only, checked.

        Raises CorruptError naming the file and the image `id` (or what it returns) when their CRC32C differs.
        """
        view = self.unchecked(row)
        if crc32c(view) != self._arrays["crcs"].item(row):
            name = id if isinstance(id, str) else id()
            message = f"tokens of image {name!r}, row {row} of segment {self.file}, are damaged"
            raise CorruptError(f"{message}; restore the file from a backup")
        return view

    def check(self, row: int, id: str | Callable[[], str] = "", *, gate: bool) -> None:
        """Raises CorruptError, as `tokens` does, when the row's tokens (or gate, where there is one) are damaged."""
        stored = self._gate_row(row) if gate else []
        if not stored:
            self.tokens(row, id)
        elif crc32c(*stored) != self._arrays["gate_crcs"].item(row):
            name = id if isinstance(id, str) else id()
            message = f"the int8 gate of image {name!r}, row {row} of segment {self.file}, is damaged"
            raise CorruptError(f"{message}; restore the file from a backup")

    def gate(self, row: int) -> Gate | None:
        """The row's gate, not checked, views into the file; None where none is stored."""
        return Gate(*self._gate_row(row)) if self._by_token else None

    def unchecked(self, row: int) -> NDArray[np.float16]:
        """The row's tokens (n, d), read-only, for a caller who has them checked, or does not look at the numbers."""
        return self._tokens[self.offsets.item(row) : self.offsets.item(row + 1)]

    def square(self, row: int) -> float:
        """Squared Frobenius norm of the row's tokens, as `setwise_engine.matching.square` gives it."""
        return float(self._arrays["squares"][row])

    def grid(self, row: int) -> Grid | None:
        """Grid of the row's tokens."""
        rows, columns = self._arrays["grids"][row].tolist()
        return None if rows == ABSENT else Grid(rows, columns)

    def image_size(self, row: int) -> ImageSize | None:
        """Size of the original image, in pixels."""
        width, height = self._arrays["sizes"][row].tolist()
        return None if width == ABSENT else ImageSize(width, height)

    def token_count(self, row: int) -> int:
        """Number of the row's tokens."""
        return len(self.unchecked(row))

    def thumbnail(self, row: int) -> bytes:
        """JPEG bytes of the row's thumbnail; empty when it has none."""
        first, last = self._arrays["thumbnail_offsets"][row : row + 2]
        return self._arrays["thumbnails"][first:last].tobytes()

    def coarse(self) -> NDArray[np.float32]:
        """Coarse vectors of all rows (rows, c), checked once. Raises CorruptError."""
        if not self._coarse_checked:
            self._check("coarse")
            self._coarse_checked = True
        vectors: NDArray[np.float32] = self._arrays["coarse"]
        return vectors

    def _gate_row(self, row: int) -> list[NDArray[Any]]:
        """The arrays of the row's gate in the order of its checksum; none where none is stored."""
        first, last = self.offsets.item(row), self.offsets.item(row + 1)
        return [array[first:last] for array in self._by_token] + [means[row : row + 1] for means in self._means]

    def _check(self, name: str) -> None:
        if f"{crc32c(self._arrays[name]):08x}" != self._metadata.get(f"crc32c.{name}"):
            raise CorruptError(f"tensor {name!r} of segment {self.file} is damaged; restore it from a backup")


def check_size(folder: Path, entry: SegmentEntry) -> None:
    """Raises CorruptError when the file is missing or its size is not the catalog's.

    A mapped file that is shorter than the catalog says would end the process with SIGBUS at the first missing page.
    """
    if Path(entry.file).name != entry.file or "\0" in entry.file:  # a catalog may come from a stranger, in a snapshot
        raise CorruptError(f"the catalog names a segment {entry.file!r}, outside {folder}; restore it from a backup")
    try:
        found = (folder / entry.file).stat().st_size
    except FileNotFoundError:
        raise _missing(folder, entry) from None
    except OSError as error:
        raise _unreadable(folder, entry, error) from error
    if found != entry.bytes:
        message = f"segment {entry.file} in {folder} has {found} bytes instead of {entry.bytes}"
        raise CorruptError(f"{message}; restore it from a backup")


def _map(folder: Path, entry: SegmentEntry) -> NDArray[np.uint8]:
    check_size(folder, entry)
    try:
        return map_file(folder / entry.file, entry.bytes)
    except FileNotFoundError:  # compaction has removed it since its size was read
        raise _missing(folder, entry) from None
    except OSError as error:
        raise _unreadable(folder, entry, error) from error


def _missing(folder: Path, entry: SegmentEntry) -> CorruptError:
    return CorruptError(f"segment {entry.file} is missing from {folder}; restore it from a backup")


def _unreadable(folder: Path, entry: SegmentEntry, error: OSError) -> CollectionError:
    return CollectionError(f"segment {entry.file} in {folder} cannot be read ({error.strerror}); check its rights")


def _places(data: NDArray[np.uint8], entry: SegmentEntry) -> tuple[dict[str, Tensor], dict[str, str]]:
    length = int.from_bytes(data[:8].tobytes(), "little")
    if 8 + length > entry.bytes:
        raise CorruptError(f"segment {entry.file} has a damaged header; restore it from a backup")
    return parse(data[8 : 8 + length].tobytes(), entry.bytes, entry.file)


def _view(data: NDArray[np.uint8], place: Tensor) -> NDArray[Any]:
    return data[place.start : place.start + place.bytes].view(place.numpy).reshape(place.shape)
