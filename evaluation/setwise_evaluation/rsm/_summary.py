"""A matrix in a few numbers, and as a small picture: strip by strip, so that a large one needs no memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from setwise_engine.matching import Floats, Kernel
from setwise_evaluation.rsm._kernels import kernel_of
from setwise_evaluation.rsm._rsm import Rsm

__all__ = ["Picture", "Summary", "picture", "summarise"]


@dataclass(frozen=True, slots=True)
class Summary:
    """Similarities of different images: number of pairs, mean, standard deviation, smallest and largest.

    All but `pairs` are NaN when there are none. sigma: that of rbf, None for the other kernels.
    """

    kernel: Kernel
    sigma: float | None
    pairs: int
    mean: float
    spread: float
    least: float
    most: float


def summarise(matrix: Rsm, kernel: str, sigma: float | None = None) -> Summary:
    """The numbers of one kernel; sigma None takes the matrix's median. Pairs count as in `Rsm.off_diagonal`."""
    wanted = kernel_of(kernel)
    width = (matrix.median_sigma() if sigma is None else sigma) if wanted is Kernel.RBF else None
    count, mean, squares, least, most = 0, 0.0, 0.0, math.inf, -math.inf
    for rows, values in matrix.strips(wanted, width):
        part = values[matrix.different(rows)]
        if not part.size:
            continue
        # Sums about the mean of each part, then put together: Chan, Golub & LeVeque, The American Statistician 1983.
        own, shift = float(part.mean()), float(part.mean()) - mean
        squares += float(np.square(part - own).sum()) + shift**2 * count * part.size / (count + part.size)
        count += part.size
        mean += shift * part.size / count
        least, most = min(least, float(part.min())), max(most, float(part.max()))
    if not count:
        return Summary(wanted, width, 0, math.nan, math.nan, math.nan, math.nan)
    return Summary(wanted, width, count, mean, math.sqrt(squares / count), least, most)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """values: the matrix, or the means of its squares of `side` by `side` pairs (fewer at the right and lower edge).

    low, high: smallest and largest of `values` that stand for different images only.
    """

    values: Floats
    side: int
    low: float
    high: float


def picture(matrix: Rsm, kernel: str, sigma: float | None = None, *, most: int = 500) -> Picture:
    """At most about `most` numbers a side."""
    side = -(-max(matrix.shape) // most)
    starts = np.arange(0, matrix.shape[1], side)
    sums = np.zeros((-(-matrix.shape[0] // side), len(starts)))
    for rows, values in matrix.strips(kernel, sigma):
        np.add.at(sums, np.arange(rows.start, rows.stop) // side, np.add.reduceat(values, starts, axis=1))
    heights = np.diff(np.append(np.arange(0, matrix.shape[0], side), matrix.shape[0]))
    widths = np.diff(np.append(starts, matrix.shape[1]))
    means = sums / (heights[:, None] * widths)
    apart = means[~np.eye(*means.shape, dtype=np.bool_)] if matrix.symmetric else means.ravel()
    seen = apart if apart.size else means.ravel()
    return Picture(means, side, float(seen.min()), float(seen.max()))
