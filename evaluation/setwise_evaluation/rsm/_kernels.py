"""Three readings of one matching: cosine, inner product and RBF of matched sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_engine.matching import Floats, Kernel

__all__ = ["KERNELS", "kernel_of", "matched_squares", "read", "sigma_of"]

KERNELS = (Kernel.COSINE, Kernel.INNER_PRODUCT, Kernel.RBF)


def kernel_of(name: str) -> Kernel:
    """The kernel of that name. Raises InvalidInput for another, and for containment: that is a matching of its own."""
    if name not in KERNELS:
        raise InvalidInput(f"kernel is {name!r}; give one of {', '.join(KERNELS)}", field="kernel")
    return Kernel(name)


def sigma_of(sigma: float) -> float:
    """The number itself. Raises InvalidInput unless it is finite and positive."""
    if not (np.isfinite(sigma) and sigma > 0):
        raise InvalidInput(f"sigma is {sigma}; give a positive number", field="sigma")
    return float(sigma)


def read(kernel: Kernel, sums: Floats, rows: Floats, columns: Floats, sigma: float, *, clip: bool = False) -> Floats:
    """Similarities from matched sums L.

    sums: (n, m). rows: (n,), columns: (m,), squared norms. Returns (n, m) float64: L / (|Q| |X|), 0 where a norm is 0;
    L; or exp(-d^2 / (2 sigma^2)). Values of a pair do not depend on which of the two is the row.
    clip: cosines to [-1, 1], where only rounding can lead out of it: the sums are of one-to-one matchings.
    """
    if kernel is Kernel.COSINE:
        norms = np.sqrt(rows)[:, None] * np.sqrt(columns)
        cosines: NDArray[np.float64] = np.divide(sums, norms, out=np.zeros(sums.shape), where=norms > 0)
        return np.clip(cosines, -1.0, 1.0, out=cosines) if clip else cosines
    if kernel is Kernel.RBF:
        scaled = matched_squares(sums, rows, columns)
        with np.errstate(over="ignore"):  # a sigma so small that its square would be 0: far pairs are then simply 0
            scaled /= sigma
            scaled /= -2.0 * sigma
        return np.exp(scaled, out=scaled)
    return np.array(sums, np.float64)


def matched_squares(sums: Floats, rows: Floats, columns: Floats) -> NDArray[np.float64]:
    """d^2 = |Q|^2 + |X|^2 - 2 L, at least 0: of equal sizes, the sum of squared distances of the matched tokens."""
    squares = rows[:, None] + columns
    squares -= 2.0 * sums
    return np.maximum(squares, 0.0, out=squares)
