"""Where activations go while batch follows batch: memory, or .npy files that grow."""

from __future__ import annotations

from io import BufferedWriter
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import AlreadyExists, FeatureError

__all__ = ["Features", "FileSink", "MemorySink", "Sink", "check_shape", "file_of"]

Features = NDArray[np.float32]


class Sink(Protocol):
    """Takes the activations of one layer batch by batch."""

    def add(self, part: Features) -> None:
        """The next images' activations, (b, ...)."""

    def finish(self) -> Features:
        """All of them, (n, ...)."""

    def discard(self) -> None:
        """Leaves nothing behind; called in place of `finish` after an error."""


def check_shape(name: str, first: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Raises FeatureError when batches of one layer differ in more than their length."""
    if first != shape:
        raise FeatureError(
            f"layer {name} gives {first} an image at first and {shape} later; give all images one size", field="images"
        )


class MemorySink:
    """One array, allocated at the first batch where the number of images is known."""

    def __init__(self, name: str, count: int | None) -> None:
        self._name, self._count, self._filled = name, count, 0
        self._whole: Features | None = None
        self._parts: list[Features] = []

    def add(self, part: Features) -> None:
        """Copies into its place, or keeps the part until `finish`."""
        if self._count is None:
            check_shape(self._name, (self._parts or [part])[0].shape[1:], part.shape[1:])
            self._parts.append(part)
            return
        if self._whole is None:
            self._whole = np.empty((self._count, *part.shape[1:]), dtype=np.float32)
        check_shape(self._name, self._whole.shape[1:], part.shape[1:])
        self._whole[self._filled : self._filled + len(part)] = part
        self._filled += len(part)

    def finish(self) -> Features:
        """The array; parts are joined now."""
        if self._whole is None:
            self._whole = np.concatenate(self._parts)
            self._parts.clear()
        return self._whole

    def discard(self) -> None:
        """Memory goes by itself."""


class FileSink:
    """An .npy file, whose header tells the number of images once it is known.

    It is written beside its place under a name of its own and moved there when it is whole.
    """

    def __init__(self, name: str, path: Path) -> None:
        if path.exists():
            raise AlreadyExists(f"{path} is there already; remove it or choose another folder", field="store")
        self._name, self._path, self._filled = name, path, 0
        self._shape: tuple[int, ...] | None = None
        self._part = path.with_name(path.name + ".part")
        self._file: BufferedWriter | None = None

    def add(self, part: Features) -> None:
        """Appends to the file."""
        if self._file is None:
            self._shape = part.shape[1:]
            self._file = self._part.open("wb")
            self._file.write(_header((0, *self._shape)))
        check_shape(self._name, self._shape or (), part.shape[1:])
        self._file.write(np.ascontiguousarray(part, dtype="<f4").data)
        self._filled += len(part)

    def finish(self) -> Features:
        """The file's array, mapped and not to be written to."""
        assert self._file is not None
        self._file.seek(0)
        self._file.write(_header((self._filled, *(self._shape or ()))))
        self._file.close()
        self._part.replace(self._path)
        return np.asanyarray(np.load(self._path, mmap_mode="r"))

    def discard(self) -> None:
        """Removes the unfinished file."""
        if self._file is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)


def _header(shape: tuple[int, ...]) -> bytes:
    """The first 192 bytes of an .npy file of version 1.0: numpy pads to multiples of 64, here always to the same."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode("ascii")
    body = text.ljust(_HEADER - 11) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


_HEADER = 192


def file_of(folder: Path, layer: str) -> Path:
    """The file of a layer: its name, with what no file name holds written as in a URL."""
    return folder / f"{quote(layer, safe='')}.npy"
