"""Where finished tiles go: into memory, or into a folder from which a run that ended early goes on."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from setwise_engine.errors import AlreadyExists, Incompatible
from setwise_engine.matching import Floats
from setwise_evaluation.rsm._folder import (
    COLUMNS,
    DONE,
    GAPS,
    ROWS,
    SUMS,
    new_folder,
    read_manifest,
    write_manifest,
    writing,
)
from setwise_evaluation.rsm._matrix_file import MatrixFile

__all__ = ["Memory", "Store", "Target"]

_SHARE = 20
"""Forcing tiles to disk takes at most one part in so many of the time."""


class Target(Protocol):
    """Takes tiles. A block goes to rows from `row` on and columns from `column` on; gaps None where there are none."""

    def has(self, tile: int) -> bool:
        """Whether the tile of that number is there from an earlier run."""
        ...

    def put(self, row: int, column: int, sums: Floats, gaps: Floats | None) -> None:
        """Write a block."""
        ...

    def end(self, tile: int) -> None:
        """All blocks of the tile were put."""
        ...

    def close(self) -> None:
        """No more comes; what ended lasts."""
        ...

    def parts(self) -> tuple[Floats, Floats | None]:
        """The complete sums and gaps."""
        ...


class Memory:
    """Two arrays."""

    def __init__(self, shape: tuple[int, int], *, gaps: bool) -> None:
        self._sums = np.empty(shape)
        self._gaps = np.empty(shape) if gaps else None

    def has(self, tile: int) -> bool:
        """Never."""
        return False

    def put(self, row: int, column: int, sums: Floats, gaps: Floats | None) -> None:
        """Copies."""
        place = (slice(row, row + sums.shape[0]), slice(column, column + sums.shape[1]))
        self._sums[place] = sums
        if self._gaps is not None and gaps is not None:
            self._gaps[place] = gaps

    def end(self, tile: int) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def parts(self) -> tuple[Floats, Floats | None]:
        """The arrays."""
        return self._sums, self._gaps


class Store:
    """A folder: sums.npy and gaps.npy, a byte a tile in `done`, and what the matrix is of in manifest.json.

    A tile counts as done only after its numbers were forced to disk, so that neither a killed process nor a machine
    that loses its power leaves one that is not.
    """

    def __init__(
        self, folder: Path, says: dict[str, Any], shape: tuple[int, int], squares: tuple[Floats, Floats], *, gaps: bool
    ) -> None:
        """Begins in a new or empty folder, or goes on in one that says the same of its run.

        says: the manifest; says["run"] names everything that decides the numbers, and "tiles" of it their number.
        Raises Incompatible when the folder's run is another one, AlreadyExists when another process is at it or it
        holds other things, and Unavailable when it cannot be written.
        """
        self.folder = folder
        self._ended: list[int] = []
        found = read_manifest(folder)
        if found is None:
            new_folder(folder)
        else:
            _check_same(folder, found.get("run"), says["run"])
        with writing(folder):
            self._lock = _lock(folder)
            try:
                self._sums = MatrixFile(folder / SUMS, shape)
                self._gaps = MatrixFile(folder / GAPS, shape) if gaps else None
                for name, numbers in zip((ROWS, COLUMNS), squares, strict=True):
                    np.save(folder / name, numbers)
                self._file = os.open(folder / DONE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                kept = os.pread(self._file, says["run"]["tiles"], 0) if found else b""
                self._done = bytearray(kept.ljust(says["run"]["tiles"], b"\0"))
                os.pwrite(self._file, self._done, 0)
                write_manifest(folder, says)
            except BaseException:
                os.close(self._lock)
                raise
        self._synced, self._took = time.monotonic(), 0.0

    def has(self, tile: int) -> bool:
        """Whether it was forced to disk."""
        return bool(self._done[tile])

    def put(self, row: int, column: int, sums: Floats, gaps: Floats | None) -> None:
        """Writes to the files. Raises Unavailable."""
        with writing(self.folder):
            self._sums.write(row, column, sums)
            if self._gaps is not None and gaps is not None:
                self._gaps.write(row, column, gaps)

    def end(self, tile: int) -> None:
        """Forces tiles to disk now and then. Raises Unavailable."""
        self._ended.append(tile)
        if time.monotonic() - self._synced > _SHARE * self._took:
            self._sync()

    def close(self) -> None:
        """Forces the last tiles to disk and gives the folder free. Raises Unavailable."""
        try:
            self._sync()
        finally:
            for file in (self._sums, self._gaps):
                if file is not None:
                    file.close()
            os.close(self._file)
            os.close(self._lock)

    def parts(self) -> tuple[Floats, Floats | None]:
        """Memory maps of the files, read-only."""
        sums: Floats = np.load(self._sums.path, mmap_mode="r")
        return sums, None if self._gaps is None else np.load(self._gaps.path, mmap_mode="r")

    def _sync(self) -> None:
        begun = time.monotonic()
        with writing(self.folder):
            self._sums.sync()
            if self._gaps is not None:
                self._gaps.sync()
            for tile in self._ended:
                self._done[tile] = 1
            os.pwrite(self._file, self._done, 0)
            os.fsync(self._file)
        self._ended.clear()
        self._synced = time.monotonic()
        self._took = self._synced - begun


_LONG = frozenset({"rows", "columns", "ids of rows", "ids of columns"})
"""What is known by a hash, which says nothing to a person."""


def _lock(folder: Path) -> int:
    """The folder's lock, which the system frees whatever becomes of the process. Raises AlreadyExists."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise AlreadyExists(f"another process is at work in {folder}; wait for it", field="store") from None
    return handle


def _check_same(folder: Path, found: dict[str, Any] | None, asked: dict[str, Any]) -> None:
    if found is None:
        raise Incompatible(f"{folder} holds a matrix that `Rsm.save` wrote; give another folder", field="store")
    for name in sorted(asked.keys() | found.keys()):
        if found.get(name) != asked.get(name):
            what = f"{name} {found.get(name)}, not {asked.get(name)}" if name not in _LONG else f"other {name}"
            raise Incompatible(
                f"{folder} holds a matrix of {what}; give another folder, or remove this one to begin anew",
                field="store",
            )
