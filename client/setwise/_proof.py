"""Checking that a hit's matching is optimal: one pass over the affinities, numpy and nothing of the engine's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise._errors import InvalidArgumentError, ProofError
from setwise._features import FeatureSet

__all__ = ["Proof", "TokensLike", "check_proof"]

Floats = NDArray[np.float64]
TokensLike = FeatureSet | NDArray[np.floating[Any]]

_UNIT = 2.0**-53
"""The most that one operation in float64 is off, relative to its result."""


@dataclass(frozen=True, slots=True, eq=False)
class Proof:
    """Why no matching of the query and a hit is better than the one that was scored.

    kernel: what was matched: w_i cos(q_i, x_j) for "containment", inner products for all others.
    query_tokens: (n,) tokens of the query that took part; None for all of them. hit_tokens: (n,) the hit's token that
    each is matched with, -1 for none. value: the sum over the matched pairs. row_prices: (n,); column_prices: (m,).
    gap: sum of all prices less value; 0 but for rounding.
    """

    kernel: str
    query_tokens: NDArray[np.int64] | None
    hit_tokens: NDArray[np.int64]
    value: float
    row_prices: Floats
    column_prices: Floats
    gap: float

    def __repr__(self) -> str:
        return f"<Proof of {self.value:.6g}, gap {self.gap:.1e}>"

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, Proof) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.kernel, self.value, self.hit_tokens.tobytes()))

    def to_dict(self) -> dict[str, Any]:
        """The arrays as lists."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}


def check_proof(proof: Proof, score: float, query: TokensLike, hit: TokensLike) -> float:
    """Accept the proof, or raise ProofError saying what is wrong with it.

    query, hit: the encoded sets, (., d). Gives the most by which another matching could be worth more, all rounding of
    this check included. Source: weak duality of the assignment problem; Burkard, Dell'Amico and Martello, "Assignment
    Problems", SIAM 2009, chapter 4.
    """
    q, x = _tokens(query, "query"), _tokens(hit, "hit")
    if proof.query_tokens is not None:
        if proof.query_tokens.max(initial=-1) >= len(q):
            raise _refuse("it speaks of tokens that the query does not have")
        q = q[proof.query_tokens]
    if q.shape[1] != x.shape[1]:
        raise InvalidArgumentError(
            f"the query's tokens have {q.shape[1]} numbers and the hit's {x.shape[1]}; give the encoded sets of both",
            field="hit_tokens",
        )
    M, slack = _matrix(proof.kernel, q, x)
    rows, columns = _matching(proof, M.shape)
    value = math.fsum(M[rows, columns])
    room = (sum(M.shape) + 1) * slack
    if abs(value - proof.value) > room:
        raise _refuse(f"its pairs are worth {value!r}, not {proof.value!r}")
    _check_score(proof, score, q, x, room)
    _check_prices(proof, M, rows, columns, slack)
    return max(0.0, math.fsum([*proof.row_prices, *proof.column_prices]) - value) + room


def _refuse(what: str) -> ProofError:
    return ProofError(f"the proof does not hold: {what}")


def _tokens(tokens: TokensLike, name: str) -> Floats:
    array = tokens.tokens if isinstance(tokens, FeatureSet) else np.asarray(tokens)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise InvalidArgumentError(
            f"{name}_tokens are {array.dtype} of shape {array.shape}; give the encoded tokens, (n, d)",
            field=f"{name}_tokens",
        )
    return array.astype(np.float64)


def _matrix(kernel: str, q: Floats, x: Floats) -> tuple[Floats, float]:
    """What was matched, (n, m), and the most that an entry, or a price, may be off.

    Products of fp16 numbers are exact in float64, so a sum of d of them is off by at most d units of |q_i| |x_j|.
    Prices are sums along alternating paths of at most 2 min(n, m) edges, each of at most the largest entry.
    """
    A = q @ x.T
    q_squares, x_squares = (np.einsum("nd,nd->n", side, side) for side in (q, x))
    units = q.shape[1] + 32 * min(A.shape) + 16
    if kernel != "containment":
        largest = math.sqrt(q_squares.max(initial=0.0) * x_squares.max(initial=0.0))
        return A, units * _UNIT * largest
    norms, total = np.sqrt(np.outer(q_squares, x_squares)), float(q_squares.sum())
    cosines = np.clip(np.divide(A, norms, out=np.zeros_like(A), where=norms > 0.0), -1.0, 1.0)
    weights = q_squares / total if total else q_squares
    return cosines * weights[:, None], (units * float(weights.max(initial=0.0)) + 2.0) * _UNIT


def _matching(proof: Proof, shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    n, m = shape
    if proof.hit_tokens.shape != (n,) or proof.row_prices.shape != (n,) or proof.column_prices.shape != (m,):
        raise _refuse(f"it is not one of {n} tokens of the query and {m} of the hit")
    rows = np.flatnonzero(proof.hit_tokens >= 0)
    columns = proof.hit_tokens[rows].astype(np.intp)
    if len(rows) != min(n, m) or len(np.unique(columns)) != len(rows) or columns.max(initial=-1) >= m:
        raise _refuse("it matches a token twice, or fewer than it could")
    if not (np.isfinite(proof.row_prices).all() and np.isfinite(proof.column_prices).all()):
        raise _refuse("a price is NaN or infinite")
    return rows, columns


def _check_score(proof: Proof, score: float, q: Floats, x: Floats, room: float) -> None:
    """The score is what the kernel reads from the value; RBF needs a sigma that only the collection knows."""
    if proof.kernel == "rbf":
        return
    norm = math.sqrt(float(np.sum(q * q)) * float(np.sum(x * x))) if proof.kernel == "cosine" else 1.0
    expected = proof.value / norm if norm else 0.0
    if abs(score - expected) > (room / norm if norm else 0.0) + 2.0**-40 * (proof.kernel == "cosine"):
        raise _refuse(f"it gives a score of {expected!r}, not {score!r}")


def _check_prices(proof: Proof, M: Floats, rows: NDArray[np.intp], columns: NDArray[np.intp], slack: float) -> None:
    n, m = M.shape
    u, v = proof.row_prices, proof.column_prices
    if (M - (u[:, None] + v)).max(initial=0.0) > slack:
        raise _refuse("the prices of some pair do not cover what it is worth")
    for size, other, prices, matched in ((n, m, u, rows), (m, n, v, columns)):
        free = np.delete(prices, matched)
        if size > other and (prices.min(initial=0.0) < -slack or np.abs(free).max(initial=0.0) > slack):
            raise _refuse("a token of the larger side has a negative price, or one although it is unmatched")
    gap = math.fsum([*u, *v, *-M[rows, columns]])
    if abs(gap) > (n + m) * slack or abs(proof.gap) > (n + m) * slack:
        raise _refuse(f"the prices leave a gap of {gap!r}, so a better matching may exist")
