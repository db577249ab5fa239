"""The assignment problem as search and analysis solve it, on the path that is in use."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from setwise_engine.errors import InvalidInput
from setwise_engine.matching import reference
from setwise_engine.matching._assignments import Assignments, assignment, gathered
from setwise_engine.matching._paths import Path, current
from setwise_engine.matching._ranking import no_check
from setwise_engine.matching._threads import checked_threads
from setwise_engine.matching._types import Assignment, Floats, Indices

__all__ = ["assign", "assign_batch", "listed_matrices", "optimal_pairs"]


def assign(affinity: ArrayLike, check: Callable[[], None] = no_check) -> Assignment:
    """The one-to-one matching of largest sum, with the prices that prove it.

    affinity: (n, m) real numbers in any layout, finite, at most 1e300; n or m may be 0. `setwise_engine.matching.
    reference.assign` defines the result: value is the exact optimum, rounded once. Which of several optimal matchings
    and of their many prices are returned is left open. Raises InvalidInput for anything else.
    check: called every few milliseconds, in this thread; what it raises ends the call.
    """
    path = current()
    if path.kernel is None:
        return reference.assign(affinity, check)
    try:
        matrix = _plain(affinity)
        [value], [gap], columns, u, v = path.kernel.assign([matrix], 1, check=check, **path.options)
        return assignment(value, gap, columns, row_prices=u, column_prices=v)
    except ValueError:
        return reference.assign(affinity, check)  # refuses it, and says why


def assign_batch(affinities: ArrayLike | Sequence[ArrayLike], *, threads: int = 1) -> Assignments:
    """`assign` of many matrices, in their order.

    affinities: (b, n, m), or matrices of any shapes, each as `assign` takes it. threads: 1 to 1024; results do not
    depend on it. Raises InvalidInput, which names the matrix, and then nothing is returned.
    """
    checked_threads(threads)
    path, listed = current(), listed_matrices(affinities)
    if path.kernel is not None:
        with contextlib.suppress(ValueError):  # the loop below refuses it, and says why
            return _native(path, [_plain(matrix) for matrix in listed], threads=threads)
    return gathered([reference.assign(_checked(matrix, position)) for position, matrix in enumerate(listed)])


def optimal_pairs(affinity: ArrayLike) -> tuple[Indices, Indices]:
    """Rows, ascending, and columns of the matching that `assign` finds."""
    solved = assign(affinity)
    return solved.rows, solved.columns


def _native(path: Path, matrices: list[NDArray[Any]], *, threads: int) -> Assignments:
    assert path.kernel is not None
    values, gaps, columns, row_prices, column_prices = path.kernel.assign(matrices, threads, **path.options)
    return Assignments(
        [matrix.shape for matrix in matrices],
        values=values,
        gaps=gaps,
        columns=columns,
        row_prices=row_prices,
        column_prices=column_prices,
    )


def _plain(matrix: ArrayLike) -> NDArray[Any]:
    """The matrix as it lies in memory when its type is one of the kernel's; ValueError when it is no matrix."""
    array = np.asarray(matrix)
    if array.ndim != 2:
        raise ValueError
    return array if array.dtype in (np.float16, np.float32, np.float64) else reference.checked(array)


def listed_matrices(affinities: ArrayLike | Sequence[ArrayLike]) -> list[ArrayLike]:
    """The matrices of a batch, unchecked. Raises InvalidInput for what is no sequence or array."""
    try:
        return list(affinities)  # type: ignore[arg-type]
    except TypeError as error:
        raise InvalidInput(
            f"affinities is {type(affinities).__name__}; give a sequence of matrices or an array (b, n, m)",
            field="affinities",
        ) from error


def _checked(matrix: ArrayLike, position: int) -> Floats:
    try:
        return reference.checked(matrix)
    except InvalidInput as error:
        raise InvalidInput(f"matrix {position}: {error}", field="affinities") from error
