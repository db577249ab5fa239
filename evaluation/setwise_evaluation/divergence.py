"""How far apart two predictions are: the Jensen-Shannon divergence in bits.

    JSD(p, q) = H((p + q) / 2) - (H(p) + H(q)) / 2,    H(p) = -sum_k p_k log2 p_k,    0 log 0 = 0

0 if and only if p = q, 1 if and only if they share no class; symmetric. Its square root is a metric.
Source: J. Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37(1), 1991.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from setwise_engine.errors import InvalidInput

__all__ = ["jensen_shannon", "jensen_shannon_matrix"]

_Floats = NDArray[np.float64]

_SUM_TOLERANCE = 1e-6
_BLOCK = 2**16
"""Numbers worked on at a time: what fits a core's own cache."""


def jensen_shannon(p: ArrayLike, q: ArrayLike) -> _Floats:
    """The divergence in bits, in [0, 1], of distributions over the last axis; the others broadcast.

    p, q: (..., c), zeros allowed. Accurate to a few units in the last place, however near p and q are.
    Raises InvalidInput for another number of classes, for negative or missing numbers and sums that are not 1.
    """
    p, q = _distributions(p, "p"), _distributions(q, "q")
    if p.shape[-1] != q.shape[-1]:
        raise InvalidInput(f"p has {p.shape[-1]} classes and q {q.shape[-1]}; compare predictions of one classifier")
    total = p + q
    t = np.divide(p - q, total, out=np.zeros_like(total), where=total > 0.0)
    near = np.where(np.abs(t) < 0.5, t, 0.0)
    # p log p/m + q log q/m with m the mean, where neither logarithm is small; else the same in t, where none cancels.
    far = _times_log(p, 1.0 + t) + _times_log(q, 1.0 - t)
    close = total / 2.0 * (np.log1p(-near * near) + 2.0 * near * np.arctanh(near))
    bits = np.where(np.abs(t) < 0.5, close, far).sum(axis=-1) / (2.0 * np.log(2.0))
    return np.asarray(np.minimum(bits, 1.0))


def jensen_shannon_matrix(probabilities: ArrayLike, *, progress: Callable[[int, int], None] | None = None) -> _Floats:
    """The divergence in bits of every two rows of `probabilities` (n, c): (n, n) float64, symmetric, zero diagonal.

    By the entropies of the module's formula, which takes one logarithm a class and pair: within 1e-14 of
    `jensen_shannon`. progress: called with rows done and all rows. Raises what `jensen_shannon` raises.
    """
    p = _distributions(probabilities, "probabilities")
    if p.ndim != 2:
        raise InvalidInput(f"probabilities have shape {p.shape}; give (images, classes)", field="probabilities")
    halves, entropy = p / 2.0, _entropy(p)
    found = np.zeros((len(p), len(p)))
    step = max(1, _BLOCK // p.shape[1])
    for row in range(len(p)):
        for start in range(row + 1, len(p), step):
            mixed = halves[start : start + step] + halves[row]
            found[row, start : start + step] = _entropy(mixed) - (entropy[start : start + step] + entropy[row]) / 2.0
        if progress is not None:
            progress(row + 1, len(p))
    found = np.clip(found, 0.0, 1.0)
    return found + found.T


def _entropy(p: _Floats) -> _Floats:
    """In bits, over the last axis; 0 log 0 = 0."""
    return np.asarray(-_times_log(p, p).sum(axis=-1) / np.log(2.0))


def _times_log(factor: _Floats, x: _Floats) -> _Floats:
    """factor * log(x), 0 where x and the factor are 0."""
    return np.asarray(factor * np.log(np.maximum(x, np.finfo(np.float64).tiny)))


def _distributions(values: ArrayLike, name: str) -> _Floats:
    p = np.asarray(values, dtype=np.float64)
    if p.ndim == 0 or p.shape[-1] == 0:
        raise InvalidInput(f"{name} has shape {p.shape}; give distributions over at least one class", field=name)
    if not (p >= 0.0).all():
        raise InvalidInput(f"{name} has numbers that are negative or missing; probabilities are at least 0", field=name)
    sums = p.sum(axis=-1)
    if not (np.abs(sums - 1.0) <= _SUM_TOLERANCE).all():
        worst = sums.flat[int(np.abs(sums - 1.0).argmax())]
        raise InvalidInput(f"{name} has a distribution that sums to {worst:.6g} instead of 1", field=name)
    return p
