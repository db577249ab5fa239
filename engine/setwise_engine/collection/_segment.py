"""A segment mapped into memory: arrays are views into the file, never copies."""

from __future__ import annotations

import mmap
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._layout import PAGE, Tensor, checked_names, parse, shapes
from setwise_engine.collection._segment_writer import ABSENT, crc32c
from setwise_engine.errors import CorruptError
from setwise_engine.feature_set import Grid, ImageSize

__all__ = ["Segment"]


class Segment:
    """One mapped segment. Views stay valid after the segment was dropped: each keeps the mapping alive."""

    def __init__(self, path: Path, *, rows: int, tokens: int, dims: int, coarse: int, bytes: int) -> None:
        """Maps the file and checks it against what the catalog says of it.

        Raises CorruptError naming the file when it is missing, of another size or damaged, FormatError for a newer one.
        """
        self.path = path
        self.rows = rows
        self._map = _map(path, bytes)
        self._coarse_checked = False
        self._lock = threading.Lock()
        length = int.from_bytes(self._map[:8], "little")
        if 8 + length > bytes:
            raise CorruptError(f"segment {path.name} has a damaged header; restore it from a backup")
        places, self.metadata = parse(self._map[:8], self._map[8 : 8 + length], bytes, path.name)
        thumbnail_bytes = places["thumbnails"].bytes
        for name, wanted in shapes(rows, tokens, dims, coarse, thumbnail_bytes).items():
            if (places[name].dtype, places[name].shape) != (wanted.dtype, wanted.shape):
                raise CorruptError(f"tensor {name!r} of segment {path.name} is not what the catalog says; restore it")
        self._arrays = {name: self._view(place) for name, place in places.items()}
        for name in checked_names():
            if name != "coarse":
                self.check(name)
        self._tokens: NDArray[np.float16] = self._arrays["tokens"]
        self._tokens_start = places["tokens"].start

    def tokens(self, row: int) -> NDArray[np.float16]:
        """The row's tokens (n, d), read-only, checked. Raises CorruptError when their CRC32C differs."""
        first, last = self._arrays["offsets"][row : row + 2]
        view: NDArray[np.float16] = self._tokens[first:last]
        if crc32c(view) != self._arrays["crcs"][row]:
            raise CorruptError(self.damage(row, ""))
        return view

    def damage(self, row: int, id: str) -> str:
        """The sentence that says that a row's tokens are not what was written."""
        image = f"image {id!r}, row {row}" if id else f"row {row}"
        return f"tokens of {image} of segment {self.path.name} are damaged; restore the file from a backup"

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
        first, last = self._arrays["offsets"][row : row + 2]
        return int(last - first)

    def thumbnail(self, row: int) -> bytes:
        """JPEG bytes of the row's thumbnail; empty when it has none."""
        first, last = self._arrays["thumbnail_offsets"][row : row + 2]
        return self._arrays["thumbnails"][first:last].tobytes()

    def coarse(self) -> NDArray[np.float32]:
        """Coarse vectors of all rows (rows, c), checked once. Raises CorruptError."""
        if not self._coarse_checked:
            self.check("coarse")
            self._coarse_checked = True
        vectors: NDArray[np.float32] = self._arrays["coarse"]
        return vectors

    def check(self, name: str) -> None:
        """Raises CorruptError when the array's CRC32C is not the header's."""
        if f"{crc32c(self._arrays[name]):08x}" != self.metadata.get(f"crc32c.{name}"):
            raise CorruptError(f"tensor {name!r} of segment {self.path.name} is damaged; restore it from a backup")

    def prefetch(self, row: int) -> None:
        """Asks the kernel to read the row's tokens ahead; returns at once."""
        first, last = self._arrays["offsets"][row : row + 2]
        stride = self._tokens.shape[1] * self._tokens.itemsize
        start = self._tokens_start + int(first) * stride
        aligned = start - start % PAGE
        length = start + int(last - first) * stride - aligned
        if length > 0 and hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_WILLNEED, aligned, length)

    def _view(self, place: Tensor) -> NDArray[Any]:
        count = place.bytes // place.numpy.itemsize
        flat = np.frombuffer(self._map, place.numpy, count, place.start) if count else np.zeros(0, place.numpy)
        return flat.reshape(place.shape)


def _map(path: Path, size: int) -> mmap.mmap:
    try:
        with path.open("rb") as stream:
            # A file shorter than the catalog says would end this process with SIGBUS at the first missing page.
            found = path.stat().st_size
            if found != size:
                raise CorruptError(f"segment {path.name} has {found} bytes instead of {size}; restore it from a backup")
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise CorruptError(f"segment {path.name} is missing from {path.parent}; restore it from a backup") from None
