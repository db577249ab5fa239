"""How well any model could do, given how far several RSMs of the same thing agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from setwise_engine.errors import InvalidInput
from setwise_evaluation.compare._correlate import Method, check_method, kendall, midranks, standardised
from setwise_evaluation.compare._inputs import Vector, as_rsms, off_diagonal

__all__ = ["NoiseCeiling", "noise_ceiling"]


@dataclass(frozen=True, slots=True)
class NoiseCeiling:
    """Bounds on the mean correlation that the true RSM would have with `count` RSMs."""

    lower: float
    upper: float
    count: int

    def __str__(self) -> str:
        """As a caption gives it: `0.61 to 0.68 (5 RSMs)`."""
        return f"{self.lower:.3f} to {self.upper:.3f} ({self.count} RSMs)"


def noise_ceiling(rsms: Sequence[ArrayLike], *, method: Method = "pearson") -> NoiseCeiling:
    """The range in which the mean correlation of a perfect model with these RSMs lies.

    rsms: at least two RSMs (n, n) of the same images, of subjects, training seeds or crops. With v_s the
    n (n - 1) / 2 pairs of the s-th, standardised (pearson) or as ranks (spearman, kendall),

        upper   mean over s of correlation(v_s, mean of all v)             it has seen v_s: too high
        lower   mean over s of correlation(v_s, mean of the other v)       it has seen fewer RSMs: too low

    For pearson and spearman the mean of all is the best that any RSM can reach, so upper is a bound on every model.
    For kendall no such form is known: the mean of ranks is a good guess, and a model may exceed it.

    Source: Nili et al., "A toolbox for representational similarity analysis", PLoS Computational Biology 10(4), 2014.
    Raises InvalidInput as `correlate` does, for fewer than two RSMs, and when a mean is constant (opposite RSMs).
    """
    check_method(method)
    if len(rsms) < 2:
        raise InvalidInput(f"{len(rsms)} RSMs have no noise ceiling; give at least two", field="rsms")
    names = [f"rsms[{place}]" for place in range(len(rsms))]
    vectors = [off_diagonal(matrix) for matrix in as_rsms(rsms, names)]
    rows = np.stack([_comparable(vector, name, method) for vector, name in zip(vectors, names, strict=True)])
    total = rows.sum(axis=0)
    lower = [
        _correlation(row, total - row, method, f"the mean of all but {name}")
        for row, name in zip(rows, names, strict=True)
    ]
    upper = [_correlation(row, total, method, "the mean of all") for row in rows]
    return NoiseCeiling(float(np.mean(lower)), float(np.mean(upper)), len(rsms))


def _comparable(values: Vector, name: str, method: Method) -> Vector:
    """Standardised values, or ranks: halves, whose sums are exact, so that ties between means stay ties."""
    return standardised(values, name, method) if method == "pearson" else midranks(values)


def _correlation(one: Vector, mean: Vector, method: Method, name: str) -> float:
    target = standardised(mean, name, method)
    return kendall(one, target) if method == "kendall" else float(standardised(one, name, method) @ target)
