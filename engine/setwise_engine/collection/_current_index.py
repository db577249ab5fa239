"""The index that is in use now; follows the file when another process replaces it."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

from setwise_engine.collection._index import INDEX_FOLDER, SIDECAR, Index, find_index

__all__ = ["CurrentIndex"]


class CurrentIndex:
    """Finds the index when it is first asked for, and again whenever its sidecar was replaced."""

    def __init__(self, folder: Path, *, collection: str, coarse: str, dims: int) -> None:
        self._folder = folder
        self._collection = collection
        self._coarse = coarse
        self._dims = dims
        self._lock = threading.Lock()
        self._signature: tuple[int, int, int] | None = None
        self._index: Index | None = None

    def get(self) -> Index | None:
        """The index, or None when there is none that can be used."""
        with self._lock:
            signature = self._look()
            if signature != self._signature:
                self._index = None
                if signature is not None:
                    self._index = find_index(
                        self._folder, collection=self._collection, coarse=self._coarse, dims=self._dims
                    )
                self._signature = signature
            return self._index

    @property
    def useless(self) -> bool:
        """Whether there is an index, seen by the last `get`, that cannot be read."""
        with self._lock:
            return self._signature is not None and (self._index is None or self._index.broken)

    def _look(self) -> tuple[int, int, int] | None:
        with contextlib.suppress(OSError):
            state = (self._folder / INDEX_FOLDER / SIDECAR).stat()
            return state.st_ino, state.st_mtime_ns, state.st_size
        return None
