"""Centred kernel alignment, and whether a semantic kernel is one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from setwise_evaluation.compare._inputs import Vector, as_rsm, as_rsms, unit

__all__ = ["Definiteness", "cka", "clip_negative", "definiteness", "kernel_unit"]


def cka(k: ArrayLike, l: ArrayLike, *, debiased: bool = False) -> float:  # noqa: E741
    """Centred kernel alignment of two similarity matrices (n, n) of the same images, diagonals included.

        biased      cka = <HKH, HLH> / (|HKH| |HLH|)       H = I - 1 1^T / n, <,> and | | of Frobenius     n >= 3
        debiased    cka = <U(K), U(L)> / (|U(K)| |U(L)|)                                                  n >= 4

        U(K)_ij = K_ij - r_i / (n - 2) - r_j / (n - 2) + s / ((n - 1)(n - 2)) for i != j, else 0
        r_i = sum_{j != i} K_ij,  s = sum_i r_i

    <HKH, HLH> / (n - 1)^2 is the usual estimate of HSIC and <U(K), U(L)> / (n (n - 3)) the unbiased one, so both are
    HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)). The biased form is inflated when n is small beside the number of
    features: it is near 1 for unrelated random features of d >> n, and falls as images are added, so that values of
    different n cannot be compared. The debiased one is about 0 there, and may be below 0; only its HSICs are unbiased,
    not their ratio. It does not read the diagonal.

    **Semantic kernels need not be positive semi-definite** (an optimal assignment is not an inner product: Vert 2008;
    the Wasserstein distance between sets of vectors is not Euclidean: Peyre & Cuturi 2019, section 8.3). What then
    still holds: cka is the cosine between two centred matrices, so within [-1, 1], never above 1, and 1 only where
    HKH = c HLH with c > 0; scaling a kernel changes nothing; HSIC of two independent kernels is 0. What no longer
    holds: that the biased form is at least 0, and that HSIC measures dependence. For K = K+ - K- it is
    HSIC(K+, L) - HSIC(K-, L): dependence can cancel, and a small value is no evidence of independence.
    What to do: ask `definiteness` of each matrix. With a negligible negative share read cka as usual. Otherwise give
    `correlate` with `mantel` (which need no definiteness) as the main number, and cka beside cka of
    `clip_negative(k)`, `clip_negative(l)`: where these two differ, the conclusion hangs on the negative part.

    On whole activations of EfficientNet-Lite0 we found no negative part in up to 1000 images; on tokens projected to 64
    numbers or fewer we did, more with more images (docs/decisions/0103).

    Takes three further (n, n) float64 arrays of memory. Source: Kornblith et al., "Similarity of neural network
    representations revisited", ICML 2019, eq. 3-4; Song et al., "Feature selection via dependence maximization", JMLR
    13, 2012, eq. 5, and Nguyen, Raghu & Kornblith, "Do wide and deep networks learn the same things?", ICLR 2021, eq. 3
    (debiased; written with U-centred matrices: Szekely & Rizzo, Annals of Statistics 42, 2014); Vert, "The optimal
    assignment kernel is not positive definite", arXiv:0801.4061, 2008; Peyre & Cuturi, "Computational optimal
    transport", 2019.
    Raises InvalidInput for matrices that are not square, symmetric, finite, of equal size and ids, or are constant.
    """
    matrices = as_rsms((k, l), ("k", "l"), fewest=4 if debiased else 3)
    first, second = (kernel_unit(matrix, name, debiased=debiased) for matrix, name in zip(matrices, "kl", strict=True))
    return float(np.vdot(first, second))


def kernel_unit(matrix: Vector, name: str, *, debiased: bool) -> Vector:
    """The centred matrix divided by its norm: inner products of two are CKA. Raises InvalidInput for a constant one."""
    centred = _u_centred(matrix) if debiased else _centred(matrix)
    return unit(centred, name, scale=float(np.abs(matrix).max()))


def _centred(matrix: Vector) -> Vector:
    """H K H."""
    means: Vector = matrix.mean(axis=0)
    centred: Vector = matrix - means - means[:, None] + means.mean()
    return centred


def _u_centred(matrix: Vector) -> Vector:
    """U(K): rows and columns sum to 0 without the diagonal."""
    n = len(matrix)
    sums: Vector = matrix.sum(axis=0) - np.diag(matrix)
    centred: Vector = matrix - (sums + sums[:, None]) / (n - 2) + sums.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0.0)
    return centred


@dataclass(frozen=True, slots=True)
class Definiteness:
    """Extreme eigenvalues of HKH, and the share of the negative ones in the sum of all sizes."""

    smallest: float
    largest: float
    negative_share: float

    def __str__(self) -> str:
        """As a sentence gives it: `smallest eigenvalue -0.0312 of largest 41.3, 0.4 % of the sum of sizes negative`."""
        return (
            f"smallest eigenvalue {self.smallest:.3g} of largest {self.largest:.3g}, "
            f"{100 * self.negative_share:.2g} % of the sum of sizes negative"
        )


def definiteness(k: ArrayLike) -> Definiteness:
    """How far a similarity matrix (n, n) is from being a kernel on these images.

    Eigenvalues e of HKH, which is all that CKA reads: negative_share = sum of |e| over e < 0 / sum of |e|. The matrix
    is positive semi-definite, as seen by CKA, when `smallest` is not below 0 by more than rounding (for our exact
    RSMs about 1e-9 n times the largest entry; for float32 matrices 1e-6 n). Positive on these images does not mean
    positive on others. O(n^3): 0.1 s for 1000 images. Raises InvalidInput as `cka` does.
    """
    values = np.linalg.eigvalsh(_centred(as_rsm(k, "k")))
    sizes = float(np.abs(values).sum())
    share = float(np.abs(values[values < 0]).sum()) / sizes if sizes else 0.0
    return Definiteness(float(values[0]), float(values[-1]), share)


def clip_negative(k: ArrayLike) -> Vector:
    """HKH with its negative eigenvalues set to 0: (n, n) float64, the nearest positive semi-definite matrix.

    Nearest in the Frobenius norm (Higham, Linear Algebra and its Applications 103, 1988), and a way of using an
    indefinite similarity as a kernel (Chen et al., "Similarity-based classification", JMLR 10, 2009). It is another
    kernel, and depends on the whole set of images: report it beside the unclipped one, never in its place without
    saying so. O(n^3). Raises InvalidInput as `cka` does.
    """
    values, vectors = np.linalg.eigh(_centred(as_rsm(k, "k")))
    clipped = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return np.asarray((clipped + clipped.T) / 2, dtype=np.float64)
