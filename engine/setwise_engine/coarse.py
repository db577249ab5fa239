"""One vector per image, by which candidates are recalled before the exact matching.

"mean" is the mean of the tokens. "sqrtcov16", "sqrtcov32" and "sqrtcov64" pool to second order: with X an image's
tokens projected to r dimensions and G = X^T X, the vector is the upper triangle of the matrix square root of G,
off-diagonal entries times sqrt 2, so that two vectors' inner product is tr(sqrt(Gx) sqrt(Gy)). Permutations are
orthogonal matrices, so the matched sum of two sets is at most the nuclear norm ||X Y^T||_*; the trace is a lower bound
of the same norm, which is why it ranks nearly like the matched sum.

"mean+sqrtcov32" and "mean+sqrtcov64" put both side by side: the inner product is a fifth of the mean's cosine and four
fifths of the other's. The mean sees all d dimensions, where the second order sees the basis only; measured together
they recall more than either (docs/decisions/0070-coarse-vector-and-candidates.md).

Sources: Li, Xie, Wang, Zuo, "Is Second-order Information Helpful for Large-scale Visual Recognition?", ICCV 2017;
Li, Xie, Wang, Gao, "Towards Faster Training of Global Covariance Pooling Networks ...", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import Incompatible, InvalidInput

__all__ = ["DEFAULT_COARSE", "KINDS", "Coarse"]

KINDS = ("mean", "sqrtcov16", "sqrtcov32", "sqrtcov64", "mean+sqrtcov32", "mean+sqrtcov64")
DEFAULT_COARSE = "mean+sqrtcov64"
_MEAN_SHARE = 0.2


class Coarse:
    """Pools token sets to unit vectors.

    kind: one of `KINDS`.
    basis: (d, r) float32, the encoder's `coarse_basis`; its first 16, 32 or 64 columns are used, or all where it has
    fewer. Raises InvalidInput for a kind that does not exist.
    """

    def __init__(self, kind: str, basis: NDArray[np.float32]) -> None:
        if kind not in KINDS:
            raise InvalidInput(f"coarse vector {kind!r} does not exist; choose one of {', '.join(KINDS)}")
        self.kind = kind
        self._tokens_dims = int(basis.shape[0])
        self._has_mean = kind.startswith("mean")
        columns = int(kind.rpartition("sqrtcov")[2]) if "sqrtcov" in kind else 0
        self._basis = np.ascontiguousarray(basis[:, :columns], dtype=np.float32)
        self._rank = int(self._basis.shape[1])
        if kind != "mean" and not self._rank:
            raise InvalidInput(f"coarse vector {kind!r} needs an encoder with a coarse basis; choose 'mean'")
        self._upper = np.triu_indices(self._rank)
        self._weights = np.where(self._upper[0] == self._upper[1], 1.0, np.sqrt(2.0))

    @property
    def dims(self) -> int:
        """Numbers in a coarse vector, c."""
        return (self._tokens_dims if self._has_mean else 0) + self._rank * (self._rank + 1) // 2

    def pool(self, tokens: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """The vector of one set: (n, d) to (c,) float32 of unit norm, or zeros for a set of no or only zero tokens."""
        vector: NDArray[np.float32] = self.pool_many([tokens])[0]
        return vector

    def pool_many(self, sets: Sequence[NDArray[np.floating[Any]]]) -> NDArray[np.float32]:
        """The vectors of b sets: (b, c) float32. Raises Incompatible when a set's d differs from the basis's."""
        for tokens in sets:
            if tokens.ndim != 2 or tokens.shape[1] != self._tokens_dims:
                raise Incompatible(
                    f"tokens of shape {tokens.shape} do not fit a coarse basis for d={self._tokens_dims}"
                )
        if not sets:
            return np.zeros((0, self.dims), np.float32)
        parts = [_unit(self._means(sets))] if self._has_mean else []
        parts += [_unit(self._square_roots(sets))] if self._rank else []
        if len(parts) == 1:
            return parts[0].astype(np.float32)
        shares = np.sqrt([_MEAN_SHARE, 1 - _MEAN_SHARE])
        return _unit(np.hstack([share * part for share, part in zip(shares, parts, strict=True)])).astype(np.float32)

    def _means(self, sets: Sequence[NDArray[np.floating[Any]]]) -> NDArray[np.float64]:
        return np.stack([tokens.sum(axis=0, dtype=np.float64) for tokens in sets])

    def _square_roots(self, sets: Sequence[NDArray[np.floating[Any]]]) -> NDArray[np.float64]:
        projected = [tokens.astype(np.float32) @ self._basis for tokens in sets]
        # The square root halves the digits of small eigenvalues, so from here on in float64.
        grams = np.stack([x.T @ x for x in (p.astype(np.float64) for p in projected)])
        scale = np.einsum("bii->b", grams)
        grams /= np.where(scale > 0, scale, 1.0)[:, None, None]
        values, vectors = np.linalg.eigh(grams)
        roots = (vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]) @ np.swapaxes(vectors, 1, 2)
        pooled: NDArray[np.float64] = roots[:, self._upper[0], self._upper[1]] * self._weights
        return pooled


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.sqrt(np.einsum("bc,bc->b", vectors, vectors))
    return np.asarray(vectors / np.where(norms > 0, norms, 1.0)[:, None], dtype=np.float64)
