"""Layers against layers, model against model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from setwise_engine.errors import InvalidInput
from setwise_evaluation.compare._cka import kernel_unit
from setwise_evaluation.compare._correlate import Method, kendall, standardised
from setwise_evaluation.compare._inputs import Vector, as_rsms, off_diagonal

__all__ = ["LayerComparison", "Measure", "compare_layers"]

Measure = Literal["cka", "debiased-cka", "pearson", "spearman", "kendall"]


@dataclass(frozen=True, slots=True, eq=False)
class LayerComparison:
    """values[i, j] = `measure` of the layers rows[i] and columns[j], (len(rows), len(columns)) float64."""

    values: NDArray[np.float64]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    measure: Measure

    def best(self) -> dict[str, str]:
        """For each layer of the rows the most similar layer of the columns (the first of equals)."""
        return {row: self.columns[int(place)] for row, place in zip(self.rows, self.values.argmax(axis=1), strict=True)}


def compare_layers(
    ours: Mapping[str, ArrayLike], theirs: Mapping[str, ArrayLike] | None = None, *, measure: Measure = "cka"
) -> LayerComparison:
    """`cka` or `correlate` between every RSM of `ours` and every one of `theirs` (without it: of `ours`).

    Both map the names of layers to RSMs (n, n), all of the same images in the same order. Every matrix is centred (or
    ranked) once, and one product of matrices gives all pairs: p + q matrices (n, n) float64 are held. Caveats beside
    CKA and kendall: `cka`, `correlate`.

    Source: the layer-by-layer maps of Kornblith et al., ICML 2019, figures 2-5.
    Raises InvalidInput as `cka` and `correlate` do, naming the layer, and for an unknown measure or no layer.
    """
    if measure not in get_args(Measure):
        raise InvalidInput(f"measure is {measure!r}; choose one of {', '.join(get_args(Measure))}", field="measure")
    groups = (ours,) if theirs is None else (ours, theirs)
    if not all(groups):
        raise InvalidInput("there are no layers to compare; give at least one RSM by name", field="ours")
    names = [name for group in groups for name in group]
    fewest = 4 if measure == "debiased-cka" else 3
    matrices = as_rsms([rsm for group in groups for rsm in group.values()], names, fewest=fewest)
    vectors = [_comparable(matrix, name, measure) for matrix, name in zip(matrices, names, strict=True)]
    rows = vectors[: len(ours)]
    columns = vectors[len(ours) :] or rows
    return LayerComparison(_table(rows, columns, measure), tuple(ours), tuple(theirs or ours), measure)


def _comparable(matrix: Vector, name: str, measure: Measure) -> Vector:
    if measure in ("cka", "debiased-cka"):
        return kernel_unit(matrix, name, debiased=measure == "debiased-cka").ravel()
    method: Method = "spearman" if measure == "spearman" else "pearson"
    return standardised(off_diagonal(matrix), name, method)


def _table(rows: list[Vector], columns: list[Vector], measure: Measure) -> Vector:
    product = kendall if measure == "kendall" else lambda x, y: float(x @ y)
    return np.array([[product(row, column) for column in columns] for row in rows])
