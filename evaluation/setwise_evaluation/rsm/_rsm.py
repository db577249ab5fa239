"""The matrix: matched sums of all pairs, and everything that is read from them."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from setwise_engine.errors import InvalidInput
from setwise_engine.matching import Floats, Kernel
from setwise_evaluation.matchers import Matching
from setwise_evaluation.rsm._folder import load_parts, save_parts
from setwise_evaluation.rsm._kernels import kernel_of, matched_squares, read, sigma_of
from setwise_evaluation.rsm._matrix_file import MatrixFile

__all__ = ["Rsm"]

_STRIP_NUMBERS = 1 << 22
"""Numbers computed at a time: 32 MiB in float64."""

_MANY_TO_ONE = (Matching.MAXSIM, Matching.CHAMFER)
"""A token may be the partner of many: their cosines are not bounded by 1."""


@dataclass(frozen=True, eq=False)
class Rsm:
    """A representational similarity matrix of N images, or of N and M, by one matching and readable in every kernel.

    sums: (N, M) float64, the matched sums L; perhaps a read-only memory map. row_squares: (N,), column_squares: (M,)
    float64, |X|^2 of the sets. gaps: (N, M) float64, no one-to-one matching is worth more than sums + gaps; None for a
    matching that is bounded by nothing of that kind (none, maxsim, chamfer).
    matching: how tokens were paired. kernel, sigma: what `values` reads; sigma None takes the median.
    symmetric: the columns are the rows. The matrix is then equal to its transpose to the bit, unless matching is
    maxsim. row_ids, column_ids: of images that have ids. row_fingerprint, column_fingerprint: SHA-256 of the inputs.

    A semantic kernel (any matching but none) need not be positive semi-definite: a maximum over matchings is no inner
    product. What assumes one may then fail: a Cholesky factor need not exist, and biased CKA may be below 0, though
    never above 1 (`setwise_evaluation.compare.cka`). `smallest_eigenvalue` tells how far this one is from it.
    """

    sums: Floats
    row_squares: Floats
    column_squares: Floats
    gaps: Floats | None
    matching: Matching
    kernel: Kernel
    sigma: float | None
    symmetric: bool
    row_ids: tuple[str, ...] | None = None
    column_ids: tuple[str, ...] | None = None
    row_fingerprint: str = ""
    column_fingerprint: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """(N, M)."""
        return self.sums.shape[0], self.sums.shape[1]

    @property
    def values(self) -> NDArray[np.float64]:
        """`read(self.kernel, self.sigma)`, computed anew each time. (N, M) float64."""
        return self.read(self.kernel, self.sigma)

    def read(
        self, kernel: str, sigma: float | None = None, *, out: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """The matrix in a kernel, (N, M) float64. L is the matched sum, |X| the Frobenius norm of a set.

            cosine          L / (|Q| |X|), 0 where a norm is 0; within [-1, 1] unless matching is maxsim or chamfer
            inner_product   L
            rbf             exp(-d^2 / (2 sigma^2)) with d^2 = max(0, |Q|^2 + |X|^2 - 2 L)

        sigma: of rbf; None takes `median_sigma()`. out: where to write, such as a memory map larger than memory.
        Source: Wald et al., NeurIPS 2024, section 3. Raises InvalidInput for another kernel, and for a sigma that is
        not positive.
        """
        result = np.empty(self.shape) if out is None else out
        for strip, values in self.strips(kernel, sigma):
            result[strip] = values
        return result

    def strips(self, kernel: str, sigma: float | None = None) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """As `read`, some megabytes at a time: rows, and their similarities (rows, M)."""
        wanted = kernel_of(kernel)
        width = 1.0
        if wanted is Kernel.RBF:
            width = self.median_sigma() if sigma is None else sigma_of(sigma)
        clip = self.matching not in _MANY_TO_ONE
        for rows in self._strips():
            yield rows, read(wanted, self.sums[rows], self.row_squares[rows], self.column_squares, width, clip=clip)

    def median_sigma(self) -> float:
        """The paper's sigma: its square is the median matched squared distance, sigma = sqrt(median d^2).

        Over the pairs of different images (i < j, and i > j as well for maxsim) when the columns are the rows, else
        over all pairs; d^2 is clamped at 0; the mean of the two middle ones of an even number. The authors' code
        differs in three small things: it leaves out pairs at distance 0, takes the lower of two middle ones, and adds
        1e-3 to sigma. Raises InvalidInput when there is no pair, or when the median is 0.
        """
        return self._median_sigma

    @functools.cached_property
    def _median_sigma(self) -> float:
        squares = self._distances()
        median = float(np.median(squares, overwrite_input=True)) if squares.size else 0.0
        if median <= 0.0:
            why = "half of the pairs are at distance 0" if squares.size else "there is one image only"
            raise InvalidInput(f"no sigma can be taken from the distances: {why}; give sigma", field="sigma")
        return float(np.sqrt(median))

    def _distances(self) -> NDArray[np.float64]:
        """Matched squared distances of the pairs that count: one array, filled strip by strip, not two of its size."""
        n, m = self.shape
        pairs = n * m if not self.symmetric else n * (n - 1) // (1 if self.matching is Matching.MAXSIM else 2)
        found, count = np.empty(pairs), 0
        for strip in self._strips():
            squares = matched_squares(self.sums[strip], self.row_squares[strip], self.column_squares)
            part = squares[self.different(strip)]
            found[count : count + part.size] = part
            count += part.size
        return found

    def different(self, strip: slice) -> NDArray[np.bool_]:
        """Which pairs of a strip of rows count: different images, each pair of a symmetric matrix once. (rows, M)."""
        if not self.symmetric:
            return np.ones((strip.stop - strip.start, self.shape[1]), np.bool_)
        rows, columns = np.arange(strip.start, strip.stop)[:, None], np.arange(self.shape[1])
        return rows != columns if self.matching is Matching.MAXSIM else rows < columns

    def off_diagonal(self, kernel: str | None = None, sigma: float | None = None) -> NDArray[np.float64]:
        """The similarities of different images as one array: those with i < j, row by row.

        Of a rectangular matrix all, of maxsim those with i > j as well. Uses the matrix's own kernel and sigma when
        no kernel is given.
        """
        strips = self.strips(self.kernel, self.sigma) if kernel is None else self.strips(kernel, sigma)
        return np.concatenate([np.zeros(0), *(values[self.different(rows)] for rows, values in strips)])

    def largest_gap(self) -> float | None:
        """The largest certified gap as a share of |Q| |X|: no cosine of an optimal matching is further off.

        None where there is no bound. Sets of norm 0 count 0.
        """
        if self.gaps is None:
            return None
        parts = (
            read(Kernel.COSINE, self.gaps[strip], self.row_squares[strip], self.column_squares, 1.0).max(initial=0.0)
            for strip in self._strips()
        )
        return float(max(parts))

    def smallest_eigenvalue(self, kernel: str | None = None, sigma: float | None = None) -> float:
        """The smallest eigenvalue of a symmetric matrix: below 0 by more than rounding, the kernel is indefinite here.

        Takes time N^3: seconds for 2000 images. Raises InvalidInput when the matrix is not symmetric.
        """
        if not self.symmetric or self.matching is Matching.MAXSIM:
            raise InvalidInput("eigenvalues need a symmetric matrix; compare images with themselves", field="symmetric")
        values = self.values if kernel is None else self.read(kernel, sigma)
        return float(np.linalg.eigvalsh(values)[0])

    def write(self, path: str | os.PathLike[str], kernel: str, sigma: float | None = None) -> None:
        """Write `read(kernel, sigma)` to a new .npy file, strip by strip: a matrix may be larger than memory.

        Raises OSError when it cannot be written, FileExistsError when the file is there.
        """
        with closing(MatrixFile(Path(path), self.shape, new=True)) as file:
            for rows, values in self.strips(kernel, sigma):
                file.write(rows.start, 0, values)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write everything to a new or empty folder, from which `load` reads it. Raises Unavailable when it cannot."""
        save_parts(folder, self)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """The matrix in a folder that `save` wrote, or `rsm(store=...)` once it was complete; sums by memory map.

        Raises NotFound when there is none, FormatError when it is not ours, Incompatible when it is not complete.
        """
        return cls(**load_parts(folder))

    def _strips(self) -> Iterator[slice]:
        """Rows in strips of some megabytes."""
        step = max(1, _STRIP_NUMBERS // max(1, self.shape[1]))
        for first in range(0, self.shape[0], step):
            yield slice(first, min(first + step, self.shape[0]))

    def __repr__(self) -> str:
        """One line, without the numbers: `Rsm of 40 x 40 images, cosine, matching exact`."""
        return f"Rsm of {self.shape[0]} x {self.shape[1]} images, {self.kernel}, matching {self.matching}"

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """`values`, so that `numpy.asarray(rsm)` works; always computed, hence always a copy."""
        if copy is False:
            raise ValueError("the values of an Rsm are computed; an array without a copy cannot be had")
        return self.values.astype(dtype or np.float64, copy=False)
