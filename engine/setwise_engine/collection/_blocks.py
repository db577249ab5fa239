"""The segments of one version as the matching takes them: blocks of rows that lie in the mapped files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from setwise_engine.collection._segment import Segment
from setwise_engine.collection._types import SegmentEntry
from setwise_engine.collection._view import View
from setwise_engine.matching import Block

__all__ = ["SegmentBlocks"]


class SegmentBlocks(Mapping[int, Block]):
    """The blocks of a view's segments by their numbers, each mapped at its first use. Dead rows are in them too.

    Rows are not checked: that is `Snapshot.check_rows`.
    """

    def __init__(self, get: Callable[[SegmentEntry], Segment], view: View) -> None:
        self._get = get
        self.view = view

    def __getitem__(self, number: int) -> Block:
        return self._get(self.view.entries[number]).block

    def __iter__(self) -> Iterator[int]:
        return iter(self.view.entries)

    def __len__(self) -> int:
        return len(self.view.entries)
