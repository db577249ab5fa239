"""Matchings that cost less than the optimum, for analysis: greedy and Sinkhorn's; and bounds from prices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from setwise_engine.errors import InvalidInput
from setwise_engine.matching import _approximate_numpy, reference
from setwise_engine.matching._assignments import Assignments
from setwise_engine.matching._paths import Path, current
from setwise_engine.matching._solve import listed_matrices
from setwise_engine.matching._threads import checked_threads
from setwise_engine.matching._types import Floats, Indices

__all__ = ["greedy", "greedy_batch", "price_bounds", "sinkhorn_batch"]

_Matrices = ArrayLike | Sequence[ArrayLike]
_Columns = NDArray[np.int32]


def greedy(affinity: ArrayLike) -> tuple[Indices, Indices]:
    """Rows, ascending, and columns of the greedy matching.

    It takes the largest entry whose row and column are both free, until min(n, m) pairs are taken; of equal entries the
    one of the lowest row, then column. For entries of 0 or more it is worth half of the optimum at least (Avis, "A
    survey of heuristics for the weighted matching problem", Networks 13, 1983). affinity: as for `assign`, and raises
    alike. The result is the same on every path.
    """
    [columns] = greedy_batch([affinity])
    rows = np.flatnonzero(columns >= 0)
    return rows, columns[rows].astype(np.intp)


def greedy_batch(affinities: _Matrices, *, threads: int = 1) -> list[_Columns]:
    """`greedy` of many matrices: for each, (n,) int32, the column of every row, -1 for none.

    affinities, threads: as for `assign_batch`. Raises InvalidInput, which names the matrix.
    """
    checked_threads(threads)
    matrices, path = _matrices(affinities), current()
    if path.kernel is None:
        return [_approximate_numpy.greedy(_checked(matrix, position)) for position, matrix in enumerate(matrices)]
    return _parts(_native(path.kernel.greedy, matrices, threads, path=path), matrices, 0)


def sinkhorn_batch(
    affinities: _Matrices, *, regularisation: float = 0.02, iterations: int = 20, threads: int = 1
) -> Assignments:
    """Matchings read from entropic transport plans, with the prices that bound what they may miss.

    The plan P_ij = exp((A_ij - u_i - v_j) / eps) has rows of sum 1 and columns of sum 1 (at most 1 on the longer side,
    v >= 0); u and v come from `iterations` rounds of scaling rows, then columns, the first of which takes
    v = n / 2m times every column's maximum (n <= m). eps = regularisation * mean over rows,
    of the shorter side, of (largest - mean affinity). The matching is the greedy one on P. The prices are made feasible
    by u_i = max_j (A_ij - v_j), then v_j = max_i (A_ij - u_i), so gaps are certified: value + gap exceeds the optimum.

    affinities, threads: as for `assign_batch`, and raises alike. The native kernel iterates in float32, numpy in
    float64: matchings and prices may differ between paths, what they prove does not.
    Sources: Cuturi, "Sinkhorn distances", NeurIPS 2013; Schmitzer, "Stabilized sparse scaling algorithms for entropy
    regularized transport problems", SIAM J. Sci. Comput. 41, 2019.
    """
    matrices = _matrices(affinities)
    columns, u, v = _prices(matrices, regularisation, iterations, matched=True, threads=threads)
    values = np.array([_value(A, own) for A, own in zip(matrices, _parts(columns, matrices, 0), strict=True)], float)
    gaps = np.maximum(_bounds(matrices, u, v) - values, 0.0)
    shapes = [(matrix.shape[0], matrix.shape[1]) for matrix in matrices]
    return Assignments(shapes, values=values, gaps=gaps, columns=columns, row_prices=u, column_prices=v)


def price_bounds(
    affinities: _Matrices, *, regularisation: float = 0.03, iterations: int = 10, threads: int = 1
) -> Floats:
    """(b,) float64: certified upper bounds of the matched sums, from the prices of `sinkhorn_batch`, without matching.

    By weak duality sum u + sum v bounds every matching when u_i + v_j >= A_ij everywhere (and the longer side's prices
    are not negative); what rounding may have taken from that is added. Entries count as they are, where `assign` counts
    them to 2^-97 of the largest. Parameters and errors: as `sinkhorn_batch`.
    """
    matrices = _matrices(affinities)
    _, u, v = _prices(matrices, regularisation, iterations, matched=False, threads=threads)
    return _bounds(matrices, u, v)


def _prices(
    matrices: list[NDArray[Any]], regularisation: float, iterations: int, *, matched: bool, threads: int
) -> tuple[_Columns, Floats, Floats]:
    checked_threads(threads)
    if not (math.isfinite(regularisation) and regularisation > 0.0):
        raise InvalidInput(f"regularisation is {regularisation}; give a positive number", field="regularisation")
    if iterations < 1:
        raise InvalidInput(f"iterations is {iterations}; give at least 1", field="iterations")
    path = current()
    if path.kernel is not None:
        values = (regularisation, iterations, matched, threads)
        found: tuple[_Columns, Floats, Floats] = _native(path.kernel.sinkhorn, matrices, *values, path=path)
        return found
    checked = [_checked(matrix, position) for position, matrix in enumerate(matrices)]
    each = [_approximate_numpy.sinkhorn(A, regularisation, iterations) for A in checked]
    empty = (np.zeros(0, np.int32), np.zeros(0), np.zeros(0))
    columns, u, v = (np.concatenate([first, *rest]) for first, *rest in zip(empty, *each, strict=True))
    return columns.astype(np.int32), u, v


def _bounds(matrices: list[NDArray[Any]], u: Floats, v: Floats) -> Floats:
    """Sums of prices, and what rounding in them and in adding them up may hide."""
    sums = np.zeros(len(matrices))
    for k, (rows, columns) in enumerate(zip(_parts(u, matrices, 0), _parts(v, matrices, 1), strict=True)):
        terms = float(np.abs(rows).sum() + np.abs(columns).sum())
        rounding = (len(rows) + len(columns) + 8) * (2.0**-52 * terms + 2.0**-1074)  # prices may be subnormal
        sums[k] = float(rows.sum() + columns.sum()) + rounding
    return sums


def _parts(values: NDArray[Any], matrices: list[NDArray[Any]], axis: int) -> list[NDArray[Any]]:
    """What belongs to each matrix, of arrays in which all stand one after the other."""
    return np.split(values, np.cumsum([matrix.shape[axis] for matrix in matrices])[:-1]) if matrices else []


def _value(A: NDArray[Any], columns: _Columns) -> float:
    rows = np.flatnonzero(columns >= 0)
    return float(A[rows, columns[rows]].sum(dtype=np.float64))


def _matrices(affinities: _Matrices) -> list[NDArray[Any]]:
    """Matrices as they lie in memory where their type is the kernel's, else checked and in float64; or InvalidInput."""
    return [_matrix(one, position) for position, one in enumerate(listed_matrices(affinities))]


def _matrix(one: ArrayLike, position: int) -> NDArray[Any]:
    if isinstance(one, np.ndarray) and one.ndim == 2 and one.dtype in (np.float32, np.float64):
        return one
    return _checked(one, position)


def _checked(one: ArrayLike, position: int) -> Floats:
    try:
        return reference.checked(one)
    except InvalidInput as error:
        raise InvalidInput(f"matrix {position}: {error}", field="affinities") from error


def _native(function: Callable[..., Any], matrices: list[NDArray[Any]], *values: Any, path: Path) -> Any:
    """What the kernel gives; where it refuses a matrix, InvalidInput that says why."""
    try:
        return function(matrices, *values, **path.options)
    except ValueError:
        for position, matrix in enumerate(matrices):
            _checked(matrix, position)
        raise
