"""The file of every segment that ever was, in a few bytes each."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["History", "read_history"]

_NAME = re.compile(r"(\d{8,})-([0-9a-f]{8})\.safetensors")
_UNKNOWN = -1
_AT_ONCE = 10_000  # names read at a time: a million of them would take 150 MB


class History(Mapping[int, str]):
    """Number to file name of all segments of one version, live and gone. Read-only.

    A name is the number and 32 random bits, so only these are kept: a collection that has seen a million commits holds
    some ten megabytes here, which its versions share.
    """

    def __init__(self, bits: NDArray[np.int64], end: int, others: Mapping[int, str]) -> None:
        """Use `read_history`. bits: by number, _UNKNOWN from `end` on. others: names of another form."""
        self._bits = bits
        self._end = end
        self._others = others

    def __getitem__(self, number: int) -> str:
        if number in self._others:
            return self._others[number]
        bits = self._bits.item(number) if 0 <= number < self._end else _UNKNOWN
        if bits == _UNKNOWN:
            raise KeyError(number)
        return f"{number:08d}-{bits:08x}.safetensors"

    def __iter__(self) -> Iterator[int]:
        yield from np.flatnonzero(self._bits[: self._end] != _UNKNOWN).tolist()
        yield from self._others

    def __len__(self) -> int:
        return int(np.count_nonzero(self._bits[: self._end] != _UNKNOWN)) + len(self._others)

    @property
    def last(self) -> int:
        """The highest number; 0 when there was no segment yet."""
        return max(self._end - 1, 0)

    def extended(self, files: Mapping[int, str]) -> History:
        """This history and newer segments, whose numbers are above `last`."""
        if not files:
            return self
        end = max(files) + 1
        bits = self._bits
        if end > len(bits):
            bits = np.pad(bits, (0, max(end, 2 * len(bits)) - len(bits)), constant_values=_UNKNOWN)
        others = dict(self._others)
        for number, file in files.items():
            match = _NAME.fullmatch(file)
            if match is None or int(match[1]) != number:
                others[number] = file
            else:
                bits[number] = int(match[2], 16)  # beyond the end of every version that shares the array
        return History(bits, end, others)


def read_history(connection: sqlite3.Connection, known: History | None) -> History:
    """The history of the connection's read transaction; `known` is that of an earlier version."""
    history = History(np.zeros(0, np.int64), 0, {}) if known is None else known
    newer = connection.execute("SELECT id, file FROM segments WHERE id > ? ORDER BY id", (history.last,))
    while files := dict(newer.fetchmany(_AT_ONCE)):
        history = history.extended(files)
    return history
