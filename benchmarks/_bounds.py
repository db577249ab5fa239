"""Upper bounds of matched sums, over many images at once, for the experiments of pruning_ideas.py.

Sets here are centred (their mean taken out) and divided by the Frobenius norm of the whole set, so that a matched sum
is a cosine less the part of the means, which is exact. All sets are of n tokens. Every bound holds for any input.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

__all__ = ["Floats", "World", "codes", "halved", "kth_score", "low_rank", "norm", "row_column", "tightened", "unit"]

Floats = NDArray[np.float32]
Half = NDArray[np.float16]


def norm(sets: Floats) -> Floats:
    """Frobenius norm of the last two axes."""
    return np.sqrt(np.einsum("...ij,...ij->...", sets, sets))


def unit(sets: Half) -> Floats:
    """Sets (..., n, d) divided by their Frobenius norms."""
    wide = sets.astype(np.float32)
    return wide / np.maximum(norm(wide), np.finfo(np.float32).tiny)[..., None, None]


def row_column(affinity: Floats) -> Floats:
    """The smaller of the sums of row maxima and of column maxima; affinity (images, n, n) -> (images,)."""
    return np.minimum(affinity.max(2).sum(1), affinity.max(1).sum(1))


def halved(affinity: Floats) -> Floats:
    """Half of each row maximum as its price, then the least column prices that make the dual feasible.

    u_i + v_j >= A_ij holds for v_j = max_i (A_ij - u_i) whatever u is, so sum u + sum v bounds every matching (n = m).
    Two passes, no exponentials; u = 0 gives the column bound, u = the row maxima at least the row bound.
    """
    u = 0.5 * affinity.max(2)
    return u.sum(1) + (affinity - u[:, :, None]).max(1).sum(1)


def tightened(affinity: Floats) -> Floats:
    """`halved`, and a third pass for the least row prices that its column prices allow."""
    v = (affinity - 0.5 * affinity.max(2)[:, :, None]).max(1)
    return v.sum(1) + (affinity - v[:, None, :]).max(2).sum(1)


def low_rank(sets: Floats, rank: int) -> tuple[Floats, Floats]:
    """Best approximation W B of each set by `rank` directions: W (..., n, rank), B (..., rank, d) orthonormal rows."""
    u, s, v = np.linalg.svd(sets, full_matrices=False)
    return u[..., :rank] * s[..., None, :rank], v[..., :rank, :]


def codes(rows: Floats) -> Floats:
    """What int8 codes with one scale a row of the last axis stand for (the scale: the largest number over 127)."""
    scale = np.maximum(np.abs(rows).max(-1, keepdims=True), np.finfo(np.float32).tiny) / 127
    return np.rint(rows / scale) * scale


def kth_score(q: Half, sets: Half, k: int, skip: int | None) -> float:
    """The exact k-th cosine of one query in all sets, found with the bounds above and scipy; `skip`: a row left out."""
    whole, best = unit(q), np.full(k, -np.inf)
    for start in range(0, len(sets), 500):
        affinity = np.einsum("id,xjd->xij", whole, unit(sets[start : start + 500]), optimize=True)
        bound = tightened(affinity)
        for row in np.argsort(-bound):
            if bound[row] < best[0] - 1e-5:
                break
            if start + row != skip:
                best = np.sort(np.append(best[1:], max(best[0], _solved(affinity[row]))))
    return float(best[0])


def _solved(affinity: Floats) -> float:
    rows, columns = linear_sum_assignment(affinity, maximize=True)
    return float(affinity[rows, columns].sum(dtype=np.float64))


@dataclass(frozen=True)
class World:
    """Queries and images, centred; the images' principal basis; what is exact beside them."""

    q: Floats  # (queries, n, d)
    x: Floats  # (images, n, d)
    basis: Floats  # (d, d): principal directions of all centred tokens of the images, falling
    means: Floats  # (queries, images): the part of the cosine that the set means give
    exact: NDArray[np.float64]  # (queries, images) cosines; -inf where the query is the image
    kth: NDArray[np.float64]  # (queries,) k-th cosine in the whole collection

    @classmethod
    def of(cls, queries: Half, sets: Half, kth: NDArray[np.float64], skip: list[int | None]) -> World:
        """Solve all pairs with scipy."""
        q, x = unit(queries), unit(sets)
        exact = np.array([[_solved(a @ b.T) for b in x] for a in q])
        for row, own in enumerate(skip):
            if own is not None:
                exact[row, own] = -np.inf
        q_mean, x_mean = q.mean(1), x.mean(1)
        q, x = q - q_mean[:, None], x - x_mean[:, None]
        flat = x.reshape(-1, x.shape[2])
        basis = np.linalg.eigh(flat.T @ flat)[1][:, ::-1].astype(np.float32)
        return cls(q, x, basis, x.shape[1] * q_mean @ x_mean.T, exact, kth)

    def affinity(self, query: int) -> Floats:
        """(images, n, n) inner products of centred tokens."""
        return np.einsum("id,xjd->xij", self.q[query], self.x, optimize=True)

    def principal(self) -> tuple[Floats, Floats]:
        """Queries and images in the principal basis."""
        return self.q @ self.basis, self.x @ self.basis

    def queries(self) -> Iterator[int]:
        """Numbers of the queries."""
        yield from range(len(self.q))
