"""A float64 matrix in a .npy file that is written block by block."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np

from setwise_engine.errors import CorruptError
from setwise_engine.matching import Floats

__all__ = ["MatrixFile"]


class MatrixFile:
    """An .npy file of float64 (n, m), C order, made in full at once and then filled in any order.

    Its room is taken when it is made, so that a full disk is told then. Written by calls and not through a map: the
    system then reports an error instead of killing the process, and nothing of it counts as the process's memory.
    """

    def __init__(self, path: Path, shape: tuple[int, int], *, new: bool = False) -> None:
        """Opens the file or makes it, with `new` only the latter.

        Raises OSError, and CorruptError when it is there with another shape.
        """
        self.path, self._columns = path, shape[1]
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
        self._start = header.tell()
        size = self._start + 8 * shape[0] * shape[1]
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (os.O_EXCL if new else 0), 0o666)
        try:
            if os.fstat(self._file).st_size == 0:
                _reserve(self._file, size)
                os.pwrite(self._file, header.getvalue(), 0)
            elif os.pread(self._file, self._start, 0) != header.getvalue() or os.fstat(self._file).st_size != size:
                raise CorruptError(
                    f"{path} is not the file of {shape[0]} x {shape[1]} numbers it was; remove the folder"
                )
        except BaseException:
            os.close(self._file)
            raise

    def write(self, row: int, column: int, block: Floats) -> None:
        """Put a block with its first number at (row, column). Raises OSError."""
        for number, line in enumerate(np.ascontiguousarray(block, "<f8"), row):
            left, place = memoryview(line).cast("B"), self._start + 8 * (number * self._columns + column)
            while left:
                written = os.pwrite(self._file, left, place)
                left, place = left[written:], place + written

    def sync(self) -> None:
        """Force what was written to disk. Raises OSError."""
        os.fsync(self._file)

    def close(self) -> None:
        """No more is written."""
        os.close(self._file)


def _reserve(file: int, size: int) -> None:
    """Takes room for the whole file, where the system can say that there is none. Raises OSError."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.ftruncate(file, size)
