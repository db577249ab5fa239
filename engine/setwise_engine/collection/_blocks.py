"""The segments of one version as the matching takes them: blocks of rows that lie in the mapped files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from setwise_engine.collection._view import View
from setwise_engine.matching import Block

__all__ = ["SegmentBlocks"]


class SegmentBlocks(Mapping[int, Block]):
    """The blocks of a view's segments by their numbers. Dead rows are in them too.

    Rows are not checked: that is `Snapshot.check_rows`.
    """

    def __init__(self, view: View) -> None:
        self.view = view

    def __getitem__(self, number: int) -> Block:
        return self.view.segments[number].block

    def __iter__(self) -> Iterator[int]:
        return iter(self.view.segments)

    def __len__(self) -> int:
        return len(self.view.segments)
