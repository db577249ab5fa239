"""A file mapped into memory for reading, without keeping it open.

Python's own `mmap` holds a duplicate of the file descriptor for as long as it lives (until 3.13, which can be told not
to), so a collection of a thousand segments would meet the usual limit of 1024 open files. Hence the system's calls.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["PAGE", "map_file", "read_ranges_ahead"]

PAGE = mmap.PAGESIZE
_GAP = 32 << 10  # bytes: reading them takes about as long as one more call
_FAILED = ctypes.c_void_p(-1).value

_system = ctypes.CDLL(None, use_errno=True)
_system.mmap.restype = ctypes.c_void_p
_system.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_system.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_system.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def map_file(path: Path, size: int) -> NDArray[np.uint8]:
    """The first `size` bytes of a file (at least 1), read-only. The mapping lasts as long as any view into it.

    The caller has made sure that the file is that long: reading beyond its end kills the process. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        address = _system.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
    finally:
        os.close(descriptor)
    if address in (None, _FAILED):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
    memory = (ctypes.c_ubyte * size).from_address(address)
    # Not at exit: other exit handlers may still hold views.
    weakref.finalize(memory, _system.munmap, address, size).atexit = False
    return np.frombuffer(memoryview(memory).toreadonly(), np.uint8)


def read_ranges_ahead(starts: NDArray[np.int64], ends: NDArray[np.int64], owners: NDArray[np.int64]) -> None:
    """Asks the kernel to read the pages of ranges of addresses; returns at once. Only advice: nothing can fail.

    Ranges of one owner (a mapping) that nearly touch are asked for together.
    """
    filled = np.flatnonzero(ends > starts)
    if not filled.size:
        return
    order = filled[np.argsort(starts[filled], kind="stable")]
    starts, ends, owners = starts[order] // PAGE * PAGE, ends[order], owners[order]
    apart = (starts[1:] - ends[:-1] > _GAP) | (owners[1:] != owners[:-1])
    first, last = np.append(True, apart), np.append(apart, True)
    for start, end in zip(starts[first].tolist(), ends[last].tolist(), strict=True):
        _system.madvise(start, end - start, mmap.MADV_WILLNEED)
