"""One of several optimal matchings, and one of their many prices, so that answers are equal to the bit on every path.

Solvers agree on the optimum, not on which of tied matchings has it: repeated tokens, such as a blank wall gives, may be
paired in any order. What is shown is the first in the order of columns, row by row, and the least prices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.matching import reference
from setwise_engine.matching._integers import integers, optimum
from setwise_engine.matching._ranking import no_check
from setwise_engine.matching._strips import strips
from setwise_engine.matching._types import Assignment, Floats, Indices

__all__ = ["first_matching", "settled"]

_Mask = NDArray[np.bool_]


def first_matching(
    A: Floats, columns: Indices, row_prices: Floats, column_prices: Floats, check: Callable[[], None] = no_check
) -> Indices:
    """Of all optimal matchings of A the first: least column for row 0, then for row 1, and so on.

    A: (n, m) with n <= m. columns: (n,), an optimal matching; row_prices: (n,), column_prices: (m,), its proof, each
    rounded once. Returns (n,) columns. For n > m give the transposed matrix: it is then the first by columns.
    """
    groups = _exchangeable(A, columns, row_prices, column_prices, check)
    if not groups:
        return columns
    first = columns.copy()
    k, _ = integers(A, check)
    for rows, among in groups:
        own = np.searchsorted(among, columns[rows])
        first[rows] = among[_first(k[np.ix_(rows, among)], own, check)]
    return first


def settled(
    A: Floats,
    columns: NDArray[np.int32],
    prices: tuple[Floats, Floats],
    *,
    least: bool,
    check: Callable[[], None] = no_check,
) -> Assignment:
    """The first optimal matching of any matrix, and with `least` the least prices in place of the given ones.

    A: (n, m). columns: (n,), an optimal matching, -1 for rows without a column. prices: (n,) and (m,), its proof.
    Where n > m the transposed matrix decides.
    """
    n, m = A.shape
    row_prices, column_prices = prices
    rows = np.flatnonzero(columns >= 0)
    if n > m:
        turned = np.empty(m, np.int32)
        turned[columns[rows]] = rows
        return reference.mirrored(settled(A.T, turned, (column_prices, row_prices), least=least, check=check))
    first = first_matching(A, columns.astype(np.intp), row_prices, column_prices, check)
    if least:
        return reference.proven(A, first, check)
    pairs = A[rows, first]
    gap = math.fsum([*row_prices, *column_prices, *-pairs])
    return Assignment(rows, first, math.fsum(pairs), row_prices, column_prices, gap)


def _exchangeable(
    A: Floats, columns: Indices, u: Floats, v: Floats, check: Callable[[], None]
) -> list[tuple[Indices, Indices]]:
    """Rows and columns, both ascending, outside of which all optimal matchings are the same; few, and mostly none.

    Another optimal matching differs by cycles of moves from column to column along tight entries, those that prices
    leave no slack, or by a path to an unmatched column from one whose price is 0, which is a cycle through a node that
    stands for "unmatched". So all of them lie in strongly connected components of this graph. Prices are rounded:
    what is nearly tight counts, and `_first` decides in integers.
    """
    n, m = A.shape
    if n == 0:
        return []
    nearly = 64 * n * 2.0**-53 * max(float(A.max()), -float(A.min()))
    mover, to = _tight(A, columns, u, v - nearly, check)
    unmatched = np.setdiff1d(np.arange(m), columns)
    leavable = columns[v[columns] <= nearly] if len(unmatched) else columns[:0]
    start = np.concatenate([columns[mover], unmatched, np.full(len(leavable), m)])
    end = np.concatenate([to, np.full(len(unmatched), m), leavable])
    from scipy.sparse import coo_array  # slow to import; only what is shown in detail needs it
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(start), np.int8), (start, end)), shape=(m + 1, m + 1))
    _, label = connected_components(graph.tocsr(), directed=True, connection="strong")
    of_rows, of_columns = label[columns], label[:m]
    shared = np.flatnonzero(np.bincount(label) > 1)
    groups = ((np.flatnonzero(of_rows == one), np.flatnonzero(of_columns == one)) for one in shared)
    return [(rows, among) for rows, among in groups if len(rows)]


def _tight(A: Floats, columns: Indices, u: Floats, v: Floats, check: Callable[[], None]) -> tuple[Indices, Indices]:
    """Rows and columns of the entries, but for the rows' own, to which prices leave nothing. n > 0."""
    found = []
    for rows in strips(*A.shape, check=check, effort=2):
        tight = u[rows, None] + v <= A[rows]
        tight[np.arange(len(tight)), columns[rows]] = False
        mover, to = np.nonzero(tight)
        found.append((mover + rows.start, to))
    movers, tos = zip(*found, strict=True)
    return np.concatenate(movers), np.concatenate(tos)


def _first(k: NDArray[Any], own: Indices, check: Callable[[], None]) -> Indices:
    """The first optimal matching of integers k, (n, m) with n <= m, given one that is optimal."""
    own, v = optimum(k, own, check)
    rows = np.arange(len(k))
    tight = (k - v == (k[rows, own] - v[own])[:, None]).astype(bool)
    owner = np.full(k.shape[1], -1, np.intp)
    owner[own] = rows
    for i in rows:
        check()
        _take_first(tight, v == 0, own, owner, int(i))
    return own


def _take_first(tight: _Mask, leavable: _Mask, own: Indices, owner: Indices, i: int) -> None:
    """Gives row i its least column that leaves the later rows columns too; own and owner change.

    leavable: (m,), columns that an optimal matching may leave unmatched, those of price 0.
    """
    wanted = np.flatnonzero(tight[i, : own[i]])
    wanted = wanted[(owner[wanted] > i) | (owner[wanted] < 0)]
    if len(wanted) == 0:
        return
    reached, step, left = _reached(tight, leavable, own, owner, i)
    wanted = wanted[reached[wanted]]
    if len(wanted) == 0:
        return
    vacated, row, column = int(own[i]), i, int(wanted[0])
    while True:
        displaced = int(owner[column])
        own[row], owner[column] = column, row
        if column == vacated:
            return
        if displaced < 0:  # the column was unmatched; another one is left so in its place
            displaced, owner[left] = int(owner[left]), -1
            if left == vacated:
                return
        row, column = displaced, int(step[displaced])


def _reached(tight: _Mask, leavable: _Mask, own: Indices, owner: Indices, i: int) -> tuple[_Mask, Indices, int]:
    """Columns that row i may take, because moves of later rows make up for it: a search back from its own column.

    Returns them; the column to which each row then moves; and the column that is left when an unmatched one is taken.
    """
    reached = np.zeros(len(owner), np.bool_)
    step = np.full(len(own), -1, np.intp)
    left = -1
    ends = own[i : i + 1]
    while len(ends):
        reached[ends] = True
        if left < 0 and leavable[ends].any():
            left = int(ends[leavable[ends].argmax()])
            unmatched = np.flatnonzero(owner < 0)
            reached[unmatched] = True
            ends = np.append(ends, unmatched)
        able = np.flatnonzero(tight[i + 1 :, ends].any(axis=1)) + i + 1
        able = able[~reached[own[able]]]
        step[able] = ends[tight[np.ix_(able, ends)].argmax(axis=1)]
        ends = own[able]
    return reached, step, left
