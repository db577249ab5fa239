"""Correlation of two RSMs over their pairs of different images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from setwise_engine.errors import InvalidInput
from setwise_evaluation.compare._inputs import Vector, as_rsms, centred_unit, off_diagonal

__all__ = ["Method", "check_method", "correlate", "kendall", "midranks", "partial_correlation", "standardised"]

Method = Literal["pearson", "spearman", "kendall"]


def correlate(a: ArrayLike, b: ArrayLike, *, method: Method = "pearson") -> float:
    """Correlation of the entries above the diagonals of two RSMs: representational similarity analysis.

    a, b: arrays (n, n) or `Rsm`, symmetric, the same images in the same order, n >= 3. With x and y the
    n (n - 1) / 2 similarities of the pairs i < j:

        pearson     sum (x - mean x)(y - mean y) / sqrt(sum (x - mean x)^2  sum (y - mean y)^2)
        spearman    pearson of their ranks, tied values sharing the mean of their ranks
        kendall     tau-b = (concordant - discordant) / sqrt((pairs not tied in x) (pairs not tied in y))

    The diagonal is left out: it tells of norms, or is 1, and would count as agreement. Spearman and Kendall ask for
    the same order of pairs only; Kendall takes O(n^2 log n), 0.2 s for 1000 images. A significance of this
    number cannot be had from tables, for pairs of images are not independent: `mantel`, `bootstrap`.

    Source: Kriegeskorte, Mur & Bandettini, "Representational similarity analysis", Frontiers in Systems Neuroscience
    2:4, 2008; Kendall, "The treatment of ties in ranking problems", Biometrika 33, 1945.
    Raises InvalidInput for matrices that are not square, symmetric, finite, of equal size and ids, or are constant.
    """
    check_method(method)
    matrices = as_rsms((a, b), ("a", "b"))
    x, y = (off_diagonal(matrix) for matrix in matrices)
    if method == "kendall":
        return kendall(centred_unit(x, "a"), centred_unit(y, "b"))
    return float(standardised(x, "a", method) @ standardised(y, "b", method))


def partial_correlation(
    a: ArrayLike, b: ArrayLike, controls: Sequence[ArrayLike], *, method: Method = "pearson"
) -> float:
    """Correlation of two RSMs with what both share with other RSMs taken away.

    With C the correlation matrix (`correlate`, by `method`) of a, b and the controls z, and S what remains of a and b
    when the controls are known,

        S = C[ab, ab] - C[ab, z] C[z, z]^+ C[z, ab]            (2, 2)
        r = S[0, 1] / sqrt(S[0, 0] S[1, 1])

    For pearson and spearman that is the correlation of the residuals of two linear regressions on the controls (of
    values, or of ranks); for kendall and one control it is Kendall's partial tau. ^+ is the pseudo-inverse: controls
    may repeat one another. All matrices (n, n), as in `correlate`.

    Source: Kendall, "Partial rank correlation", Biometrika 32, 1942; in RSA: Nili et al., "A toolbox for
    representational similarity analysis", PLoS Computational Biology 10(4), 2014. The p-value of a partial Mantel test
    is not offered: it does not keep its level (Guillot & Rousset, Methods in Ecology and Evolution 4, 2013).
    Raises InvalidInput as `correlate` does, without controls, and when the controls explain a or b wholly.
    """
    check_method(method)
    if not len(controls):
        raise InvalidInput("there are no controls; give at least one RSM, or use correlate", field="controls")
    names = ("a", "b", *(f"controls[{place}]" for place in range(len(controls))))
    vectors = [off_diagonal(matrix) for matrix in as_rsms((a, b, *controls), names)]
    table = _correlation_table(vectors, names, method)
    rest = table[:2, :2] - table[:2, 2:] @ np.linalg.pinv(table[2:, 2:], rcond=1e-10, hermitian=True) @ table[2:, :2]
    for name, left in zip(names[:2], np.diag(rest), strict=True):
        if left < 1e-10:
            raise InvalidInput(f"the controls explain {name} wholly; nothing is left of it to correlate", field=name)
    return float(np.clip(rest[0, 1] / np.sqrt(rest[0, 0] * rest[1, 1]), -1.0, 1.0))


def _correlation_table(vectors: Sequence[Vector], names: Sequence[str], method: Method) -> Vector:
    if method != "kendall":
        rows = np.stack([standardised(vector, name, method) for vector, name in zip(vectors, names, strict=True)])
        return rows @ rows.T
    table = np.eye(len(vectors))
    units = [centred_unit(vector, name) for vector, name in zip(vectors, names, strict=True)]
    for i, j in zip(*np.triu_indices(len(units), k=1), strict=True):
        table[i, j] = table[j, i] = kendall(units[i], units[j])
    return table


def check_method(method: str) -> None:
    """Raises InvalidInput for what is no method of correlation."""
    if method not in get_args(Method):
        raise InvalidInput(f"method is {method!r}; choose one of {', '.join(get_args(Method))}", field="method")


def standardised(values: Vector, name: str, method: Method) -> Vector:
    """Values, or for spearman their ranks, with mean 0 and norm 1: inner products of two are correlations."""
    return centred_unit(midranks(values) if method == "spearman" else values, name)


def midranks(values: Vector) -> Vector:
    """Ranks from 1; tied values share the mean of theirs."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(values), dtype=np.float64)


def kendall(x: Vector, y: Vector) -> float:
    """Kendall's tau-b of two vectors of the same length, NaN where one of them is constant."""
    from scipy.stats import kendalltau

    return float(kendalltau(x, y, method="asymptotic").statistic)
