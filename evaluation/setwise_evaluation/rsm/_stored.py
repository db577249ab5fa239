"""The sets of a collection, read where they lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection import Collection
from setwise_engine.feature_set import Grid, Tokens

__all__ = ["Stored"]


class Stored:
    """The live images of a collection's newest version, in the order of their ids' UTF-8 bytes.

    The order does not change when the collection is compacted or was filled in another order. Tokens are views into
    the mapped segments, which stay mapped for as long as this lives, whatever is written to the collection meanwhile.
    """

    def __init__(self, collection: Collection) -> None:
        with collection.snapshot() as snapshot:
            keys = snapshot.live_keys()
            numbers, rows = snapshot.view.split(keys)
            ids = snapshot.ids(keys.tolist())
            segments = snapshot.view.segments
        order = sorted(range(len(ids)), key=lambda place: ids[place].encode())
        self.ids: tuple[str, ...] | None = tuple(ids[place] for place in order)
        self.dims = collection.settings.dims
        self._places = [(segments[int(numbers[place])], int(rows[place]), ids[place]) for place in order]
        self.lengths: NDArray[np.int64] = np.array(
            [segment.token_count(row) for segment, row, _ in self._places], np.int64
        )
        self._name = collection.name

    def sets(self, first: int, last: int) -> list[Tokens]:
        """float16, each compared with its checksum. Raises CorruptError naming image and file."""
        return [segment.tokens(row, id) for segment, row, id in self._places[first:last]]

    def grid(self, row: int) -> Grid | None:
        """As stored."""
        segment, number, _ = self._places[row]
        return segment.grid(number)

    def called(self, row: int) -> str:
        """By its id."""
        return f"image {self._places[row][2]!r} of {self._name}"
