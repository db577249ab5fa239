"""What was read from files, read again when they change."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from setwise_engine.errors import EngineError

__all__ = ["Watched"]

log = logging.getLogger("setwise.security")

T = TypeVar("T")
Stamp = tuple[tuple[int, int, int] | None, ...]


class Watched(Generic[T]):
    """Keeps what `read` makes of some files. Files that cannot be used leave what was there, and are logged once."""

    def __init__(self, paths: Sequence[Path], read: Callable[[], T]) -> None:
        """Reads. Raises what `read` raises, which are EngineErrors and OSErrors."""
        self._paths, self._read = paths, read
        self._stamp = _stamp(paths)
        self.value = read()

    def refresh(self) -> bool:
        """Look at the files; whether there is a new value. Costs one stat a file where nothing changed."""
        stamp = _stamp(self._paths)
        if stamp == self._stamp:
            return False
        self._stamp = stamp  # before reading: a change while it is read is seen the next time
        names = ", ".join(map(str, self._paths))
        try:
            self.value = self._read()
        except (EngineError, OSError) as error:
            log.error("%s changed and cannot be used; what was read before still holds: %s", names, error)
            return False
        log.info("%s changed and was read again", names)
        return True


def _stamp(paths: Sequence[Path]) -> Stamp:
    """What changes when a file is written or replaced; links are followed, as mounted secrets are switched by link."""
    return tuple(map(_stamp_of, paths))


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
