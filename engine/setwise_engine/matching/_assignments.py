"""Many assignments, kept as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from setwise_engine.matching._types import Assignment, Floats

__all__ = ["Assignments", "assignment", "gathered"]


class Assignments(Sequence[Assignment]):
    """Assignments of several matrices; each is put together when it is asked for.

    values: (b,) float64, the matched sums. gaps: (b,) float64. Both in the order of the matrices.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, int]],
        *,
        values: Floats,
        gaps: Floats,
        columns: NDArray[np.int32],
        row_prices: Floats,
        column_prices: Floats,
    ) -> None:
        """shapes: of the matrices. columns, row_prices, column_prices: of all matrices, one after the other."""
        self.values, self.gaps = values, gaps
        sizes = np.array(shapes, np.intp).reshape(-1, 2)
        self._ends = np.concatenate([np.zeros((1, 2), np.intp), np.cumsum(sizes, axis=0)])
        self._columns, self._row_prices, self._column_prices = columns, row_prices, column_prices

    @property
    def partners(self) -> list[NDArray[np.int32]]:
        """For each matrix, (n,): the column of every row, -1 for none."""
        return np.split(self._columns, self._ends[1:-1, 0]) if len(self) else []

    def __len__(self) -> int:
        """Number of matrices."""
        return len(self.values)

    def __repr__(self) -> str:
        """How many there are."""
        return f"Assignments of {len(self)} matrices"

    @overload
    def __getitem__(self, index: int) -> Assignment: ...
    @overload
    def __getitem__(self, index: slice) -> list[Assignment]: ...
    def __getitem__(self, index: Any) -> Any:
        """The assignment of one matrix, or of several."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        b = _place(index, len(self))
        (first_row, first_column), (last_row, last_column) = self._ends[b], self._ends[b + 1]
        return assignment(
            self.values[b],
            self.gaps[b],
            self._columns[first_row:last_row],
            row_prices=self._row_prices[first_row:last_row],
            column_prices=self._column_prices[first_column:last_column],
        )


def _place(index: int, count: int) -> int:
    if not -count <= index < count:
        raise IndexError(f"there are {count} assignments, none at {index}")
    return index % count


def gathered(solved: Sequence[Assignment]) -> Assignments:
    """Assignments that were made one by one."""
    shapes = [(len(one.row_prices), len(one.column_prices)) for one in solved]
    columns = [np.full(n, -1, np.int32) for n, _ in shapes]
    for one, matched in zip(solved, columns, strict=True):
        matched[one.rows] = one.columns
    empty = np.empty(0)
    return Assignments(
        shapes,
        values=np.array([one.value for one in solved], np.float64),
        gaps=np.array([one.gap for one in solved], np.float64),
        columns=np.concatenate([empty.astype(np.int32), *columns]),
        row_prices=np.concatenate([empty, *(one.row_prices for one in solved)]),
        column_prices=np.concatenate([empty, *(one.column_prices for one in solved)]),
    )


def assignment(
    value: float, gap: float, columns: NDArray[np.int32], *, row_prices: Floats, column_prices: Floats
) -> Assignment:
    """One assignment from what the native kernel gives; columns: (n,), -1 for none."""
    matched = columns.astype(np.intp)
    if len(matched) <= len(column_prices):
        return Assignment(np.arange(len(matched)), matched, float(value), row_prices, column_prices, float(gap))
    rows = np.flatnonzero(matched >= 0)
    return Assignment(rows, matched[rows], float(value), row_prices, column_prices, float(gap))
