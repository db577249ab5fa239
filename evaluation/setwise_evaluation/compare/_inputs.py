"""RSMs as checked float64 arrays: everything else in this package starts here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from setwise_engine.errors import InvalidInput

__all__ = ["Vector", "as_rsm", "as_rsms", "centred_unit", "ids_of", "off_diagonal", "unit"]

Vector = NDArray[np.float64]

# Float32 matrices of other tools are symmetric to about 1e-7 of their largest entry; ours are to the bit.
_ASYMMETRY = 1e-6
# Sums of float64 rounding; what is left of a constant after its mean was taken off.
_CONSTANT = 1e-13


def as_rsm(rsm: ArrayLike, name: str = "rsm", *, fewest: int = 3) -> Vector:
    """`rsm`, an array (n, n) or an `Rsm`, as a symmetric float64 array (n, n).

    What rounding left asymmetric (up to 1e-6 of the largest entry) is made symmetric by (K + K^T) / 2. Raises
    InvalidInput, naming `name`, for anything else that is not square, real, finite and symmetric, and for fewer than
    `fewest` images.
    """
    try:
        matrix = np.asarray(rsm, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"{name} is no matrix of numbers ({error}); give an array (n, n) or an Rsm", field=name
        ) from error
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InvalidInput(
            f"{name} has shape {matrix.shape}; give a square RSM (n, n), with the same images in rows and columns",
            field=name,
        )
    if len(matrix) < fewest:
        raise InvalidInput(f"{name} has {len(matrix)} images; this needs at least {fewest}", field=name)
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise InvalidInput(
            f"{name}[{row}, {column}] is {matrix[row, column]}; leave out images without finite similarities",
            field=name,
        )
    return _symmetric(matrix, name)


def _symmetric(matrix: Vector, name: str) -> Vector:
    apart = np.abs(matrix - matrix.T)
    worst = float(apart.max())
    if worst == 0.0:
        return matrix
    if worst > _ASYMMETRY * float(np.abs(matrix).max()):
        row, column = np.unravel_index(int(apart.argmax()), apart.shape)
        raise InvalidInput(
            f"{name} is not symmetric: [{row}, {column}] and [{column}, {row}] differ by {worst:.3g}; "
            "take a symmetric similarity (chamfer in place of maxsim) or (K + K.T) / 2",
            field=name,
        )
    return (matrix + matrix.T) / 2


def as_rsms(rsms: Sequence[ArrayLike], names: Sequence[str], *, fewest: int = 3) -> list[Vector]:
    """Several RSMs over the same images, checked one by one and against the first.

    Raises InvalidInput when sizes differ, or ids where two carry them (`row_ids`), naming the first that differs.
    """
    matrices = [as_rsm(rsm, name, fewest=fewest) for rsm, name in zip(rsms, names, strict=True)]
    for matrix, name in zip(matrices, names, strict=True):
        if len(matrix) != len(matrices[0]):
            raise InvalidInput(
                f"{name} is over {len(matrix)} images and {names[0]} over {len(matrices[0])}; "
                "give the same images in the same order",
                field=name,
            )
    _same_ids([(name, ids) for rsm, name in zip(rsms, names, strict=True) if (ids := ids_of(rsm)) is not None])
    return matrices


def ids_of(rsm: object) -> tuple[str, ...] | None:
    """The ids of an Rsm's images, where it knows them."""
    ids: Iterable[str] | None = getattr(rsm, "row_ids", None)
    return None if ids is None else tuple(ids)


def _same_ids(named: Sequence[tuple[str, tuple[str, ...]]]) -> None:
    for name, ids in named[1:]:
        first, expected = named[0]
        for place, (one, other) in enumerate(zip(expected, ids, strict=True)):
            if one != other:
                raise InvalidInput(
                    f"image {place} is {one!r} in {first} and {other!r} in {name}; "
                    "give the same images in the same order",
                    field=name,
                )


def off_diagonal(matrix: Vector) -> Vector:
    """The entries above the diagonal, row by row: (n, n) to (n (n - 1) / 2,)."""
    return matrix[np.triu(np.ones(matrix.shape, dtype=bool), k=1)]


def unit(values: Vector, name: str, *, scale: float) -> Vector:
    """`values` divided by their Euclidean norm, so that inner products of two are cosines.

    `scale` is the largest size of what they were made from. Raises InvalidInput when only its rounding is left of them.
    """
    if float(np.abs(values).max()) <= _CONSTANT * scale:
        raise InvalidInput(f"{name} is constant, so that nothing correlates with it; compare another", field=name)
    # Twice, because squares of very small numbers underflow.
    values = values / float(np.abs(values).max())
    return values / float(np.linalg.norm(values))


def centred_unit(values: Vector, name: str) -> Vector:
    """(v - mean) / |v - mean|: inner products of two are Pearson correlations. Raises InvalidInput for a constant."""
    return unit(values - values.mean(), name, scale=float(np.abs(values).max()))
