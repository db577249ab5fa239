"""Rows of mapped segments copied into a new one, in bounded memory and at a bounded rate.

Checksums of rows are copied, never made anew: a byte that was damaged on the way would still not fit them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._durable import Disk
from setwise_engine.collection._layout import (
    BIRTHS_VERSION,
    GATE_VERSION,
    SEGMENT_VERSION,
    Tensor,
    checked_names,
    gate_shapes,
    layout,
    shapes,
)
from setwise_engine.collection._segment import Segment
from setwise_engine.collection._segment_writer import WrittenSegment, crc32c
from setwise_engine.errors import CorruptError

__all__ = ["Damaged", "Pace", "Part", "merge_segments"]

_PIECE = 4 << 20  # bytes read and written at once
_FLUSH = 32 << 20  # bytes after which the disk gets them: fewer to wait for at the end, also for those who commit
_PER_TOKEN = {name for name in gate_shapes(0, 0, 0) if name not in ("gate_crcs", "gate_means")} | {"tokens"}


class Damaged(CorruptError):
    """A source that is not what was written: its number."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


class Pace:
    """Keeps work to a number of bytes a second (None: no limit); asks `check` on the way, which raises to end it."""

    def __init__(self, bytes_per_second: float | None, check: Callable[[], None]) -> None:
        self.bytes = 0
        self._rate = bytes_per_second
        self._check = check
        self._begun = time.monotonic()

    def spend(self, bytes: int) -> None:
        """So many bytes were read or written."""
        self.bytes += bytes
        self._check()
        while self._rate and (ahead := self._begun + self.bytes / self._rate - time.monotonic()) > 0:
            time.sleep(min(ahead, 0.1))
            self._check()


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Rows of one segment, rising, and their births. sha256: of its file, by the catalog."""

    number: int
    segment: Segment
    rows: NDArray[np.int64]
    births: NDArray[np.int64]
    sha256: str

    def check(self, pace: Pace) -> None:
        """Raises Damaged when the file is not what was written; all of it, since thumbnails have nothing else."""
        digest = hashlib.sha256()
        for piece in _pieces(self.segment.data):
            digest.update(piece.data)
            pace.spend(piece.nbytes)
        if digest.hexdigest() != self.sha256:
            message = f"segment {self.segment.file} differs from its SHA-256 and was left as it is"
            raise Damaged(f"{message}; run `setwise verify`, and restore the file from a backup", self.number)

    def per_row(self, name: str) -> NDArray[Any]:
        """The rows' entries of an array that has one for each row."""
        return self.segment.array(name)[self.rows]

    def lengths(self, name: str) -> NDArray[np.int64]:
        """How many tokens, or bytes of thumbnail, each row has, by the array of offsets."""
        lengths: NDArray[np.int64] = np.diff(self.segment.array(name))[self.rows]
        return lengths

    def runs(self) -> Iterator[tuple[int, int]]:
        """Neighbouring rows: the first, and the one after the last."""
        ends = np.append(np.flatnonzero(np.diff(self.rows) != 1), len(self.rows) - 1)
        starts = np.append(0, ends[:-1] + 1)
        yield from zip(self.rows[starts].tolist(), (self.rows[ends] + 1).tolist(), strict=True)

    def ranges(self, name: str, offsets: str) -> Iterator[NDArray[Any]]:
        """The rows' entries of an array that has many for each row: one view for neighbours."""
        bounds, array = self.segment.array(offsets), self.segment.array(name)
        for first, last in self.runs():
            yield array[bounds.item(first) : bounds.item(last)]


def merge_segments(path: Path, parts: Sequence[Part], owner: dict[str, str], disk: Disk, pace: Pace) -> WrittenSegment:
    """Writes the parts' rows, in order, as a segment, durably. owner: what the header says of whose it is.

    The parts have a gate all or none.
    """
    gate = parts[0].segment.block.gate is not None
    arrays = _arrays(parts, gate=gate)
    tensors = shapes(
        len(arrays["births"]),
        int(arrays["offsets"][-1]),
        parts[0].segment.array("tokens").shape[1],
        arrays["coarse"].shape[1],
        int(arrays["thumbnail_offsets"][-1]),
        gate=gate,
        births=True,
    )
    described = {"format": "setwise-segment", "version": str(SEGMENT_VERSION), "births": str(BIRTHS_VERSION)} | owner
    described |= {"gate": str(GATE_VERSION)} if gate else {}
    names = checked_names(gate=gate, births=True)
    header, places = layout(tensors, described | {f"crc32c.{name}": f"{crc32c(arrays[name]):08x}" for name in names})
    digest = hashlib.sha256()

    def fill(write: Callable[[NDArray[Any] | bytes], None]) -> None:
        for chunk in _chunks(header, places, arrays, parts):
            digest.update(chunk if isinstance(chunk, bytes) else chunk.data)
            write(chunk)
            pace.spend(len(chunk) if isinstance(chunk, bytes) else chunk.nbytes)

    disk.publish_filled(path, fill, flush=_FLUSH)
    size = max(place.start + place.bytes for place in places.values())
    rows, tokens = len(arrays["births"]), int(arrays["offsets"][-1])
    return WrittenSegment(path.name, rows, tokens, tensors["thumbnails"].bytes, size, digest.hexdigest())


def _arrays(parts: Sequence[Part], *, gate: bool) -> dict[str, NDArray[Any]]:
    """The arrays of few bytes a row."""
    names = ["squares", "crcs", "grids", "sizes", "coarse", *(["gate_crcs", "gate_means"] if gate else [])]
    arrays = {name: np.concatenate([part.per_row(name) for part in parts]) for name in names}
    arrays["births"] = np.concatenate([part.births for part in parts])
    for name in ("offsets", "thumbnail_offsets"):
        arrays[name] = np.cumsum([0, *np.concatenate([part.lengths(name) for part in parts]).tolist()], dtype=np.int64)
    return arrays


def _chunks(
    header: bytes, places: dict[str, Tensor], arrays: dict[str, NDArray[Any]], parts: Sequence[Part]
) -> Iterator[bytes | NDArray[Any]]:
    yield header
    for name, place in places.items():
        if name in arrays:
            yield from _pieces(arrays[name])
        elif name in _PER_TOKEN or name == "thumbnails":
            offsets = "thumbnail_offsets" if name == "thumbnails" else "offsets"
            for part in parts:
                for span in part.ranges(name, offsets):
                    yield from _pieces(span)
        else:
            yield bytes(place.bytes)


def _pieces(array: NDArray[Any]) -> Iterator[NDArray[np.uint8]]:
    flat = array.reshape(-1).view(np.uint8)
    for first in range(0, len(flat), _PIECE):
        yield flat[first : first + _PIECE]
