"""A folder that is replaced whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from setwise_engine.errors import AlreadyExists, InvalidInput

__all__ = ["RESULTS", "TIMINGS", "Place", "write_whole"]

RESULTS = "results.json"
TIMINGS = "timings.json"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that whoever looks finds the old one or the whole new one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # its own: two runs may make one page at once
    part.write_bytes(data)
    part.replace(path)


class Place:
    """Work goes to `unfinished`, a hidden folder beside `folder`; `finishing` puts it in the old one's place.

    A run that ends early leaves the old folder as it was. Raises InvalidInput when `folder` holds what no run wrote,
    and AlreadyExists while another run is at it.
    """

    def __init__(self, folder: Path) -> None:
        folder = folder.absolute()
        self.folder = folder
        self.unfinished = folder.with_name(f".{folder.name}.unfinished")
        self._old = folder.with_name(f".{folder.name}.old")
        self._lock: int | None = None

    def begin(self) -> None:
        """Take the place; leftovers of a run that was killed are put right first."""
        self.unfinished.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.unfinished, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise AlreadyExists(
                f"another run is writing {self.folder}; wait for it, or give another --out", field="--out"
            ) from None
        self._recover()
        if strangers := _strangers(self.folder):
            self.drop()
            raise InvalidInput(
                f"{self.folder} holds {strangers[0]}, which no run wrote; move it away, or give another --out",
                field="--out",
            )

    def _recover(self) -> None:
        if self._old.exists() and not self.folder.exists():
            self._old.rename(self.folder)  # killed between the two renames of `finishing`
        shutil.rmtree(self._old, ignore_errors=True)
        for path in self.unfinished.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    @contextmanager
    def finishing(self) -> Iterator[Path]:
        """What is written inside comes last; then the new folder takes the old one's place. An error drops it."""
        try:
            yield self.unfinished
            for name in _strangers(self.folder):  # put there while the run went on: kept
                (self.folder / name).rename(self.unfinished / name)
            if self.folder.exists():
                self.folder.rename(self._old)
            self.unfinished.rename(self.folder)
            shutil.rmtree(self._old, ignore_errors=True)
            self._unlock()
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        """Forget the new folder."""
        shutil.rmtree(self.unfinished, ignore_errors=True)
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _strangers(folder: Path) -> list[str]:
    """What lies in the folder and is none of the files that its last run names; everything where there was none."""
    if not folder.exists():
        return []
    try:
        ours = set(json.loads((folder / RESULTS).read_text(encoding="utf-8"))["files"]) | {RESULTS, TIMINGS}
    except (OSError, ValueError, KeyError, TypeError):
        ours = set()
    return sorted({path.name for path in folder.iterdir()} - ours)
