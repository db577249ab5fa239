"""The affinity that search computes, on the path that is in use: the native kernel, numpy or the definition.

All give the exact inner product of each two fp16 tokens, rounded once to float64: no order of summation, thread or
instruction set shows in it. `engine/kernel/affinity.hpp` says how; here it is once more in numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import FeatureError
from setwise_engine.matching import reference
from setwise_engine.matching._paths import current
from setwise_engine.matching._ranking import no_check
from setwise_engine.matching._strips import strips

__all__ = ["affinity", "square", "squares"]

_Half = NDArray[np.float16]
_Floats = NDArray[np.float64]
_Digits = NDArray[np.int64]

_MAX_DIMS = 1 << 21  # as affinity.hpp: digits' products, added up, stay below 2^63
_EFFORT = 128  # dimensions that take numpy as long as all the rest of an entry
_CHUNK = 1 << 12  # dimensions whose digits' products, of 40 bits, add up exactly in float64


def affinity(q: _Half, x: _Half, check: Callable[[], None] = no_check) -> _Floats:
    """Inner products of all pairs of tokens, A = Q X^T: exact, each rounded once to float64.

    q: (n, d) float16; x: (m, d) float16; finite. Returns (n, m) float64.
    check: called every few milliseconds, in this thread; what it raises ends the call.
    Raises FeatureError (a ValueError) when dtype, shapes or numbers are not so.
    """
    for tokens in (q, x):
        if tokens.dtype != np.float16 or tokens.ndim != 2:
            raise FeatureError(
                f"tokens are {tokens.dtype} of shape {tokens.shape}; give float16 of shape (n, d)", field="tokens"
            )
    if q.shape[1] != x.shape[1] or q.shape[1] > _MAX_DIMS:
        raise FeatureError(
            f"one set has tokens of {q.shape[1]} numbers and the other of {x.shape[1]}; give equal lengths of at most "
            f"{_MAX_DIMS}",
            field="tokens",
        )
    try:
        return _compute(np.ascontiguousarray(q), np.ascontiguousarray(x), check)
    except ValueError as error:
        raise FeatureError("tokens hold NaN or infinity; every number must be finite", field="tokens") from error


def squares(tokens: _Half) -> _Floats:
    """Squared norms of tokens, (n, d) float16 to (n,) float64: exact, each rounded once.

    Raises FeatureError when dtype, shape or numbers are not so.
    """
    path = current()
    if path.kernel is None or tokens.dtype != np.float16 or tokens.ndim != 2:
        return reference.squares(tokens)
    try:
        native: _Floats = path.kernel.squares(np.ascontiguousarray(tokens), **path.options)
    except ValueError as error:
        raise FeatureError("tokens hold NaN or infinity; every number must be finite", field="tokens") from error
    return native


def square(tokens: _Half) -> float:
    """Squared Frobenius norm of a set, (n, d) float16: the sum of its tokens' squares, rounded once."""
    return math.fsum(squares(tokens))


def _compute(q: _Half, x: _Half, check: Callable[[], None]) -> _Floats:
    """Contiguous arrays of equal d; raises ValueError when a number is not finite."""
    path = current()
    if path.kernel is not None:
        native: _Floats = path.kernel.affinity(q, x, check=check, **path.options)
        return native
    return _reference_affinity(q, x, check) if path.name == "reference" else _numpy_affinity(q, x, check)


def _pieces(q: NDArray[Any], x: NDArray[Any], check: Callable[[], None]) -> Iterator[slice]:
    """Rows of the affinity to make at a time. Every entry is exact, so that it does not matter how many."""
    return strips(len(q), len(x), check=check, effort=1 + q.shape[1] // _EFFORT)


def _reference_affinity(q: _Half, x: _Half, check: Callable[[], None]) -> _Floats:
    if not (np.isfinite(q).all() and np.isfinite(x).all()):
        raise ValueError("tokens hold NaN or infinity")
    A = np.empty((len(q), len(x)))
    for rows in _pieces(q, x, check):
        A[rows] = reference.affinity(q[rows], x)
    return A


def _numpy_affinity(q: _Half, x: _Half, check: Callable[[], None]) -> _Floats:
    left, right = q.astype(np.float64), x.astype(np.float64)
    q_norm, x_norm = _largest_norm(left), _largest_norm(right)
    if not np.isfinite(q_norm + x_norm):
        raise ValueError("tokens hold NaN or infinity")
    wide = q_norm * x_norm > 2.0**19 or np.sqrt(q.shape[1]) * x_norm > 2.0**14
    product = _wide if wide else _narrow
    A = np.empty((len(q), len(x)))
    for rows in _pieces(q, x, check):
        A[rows] = product(left[rows], right)
    return A


def _narrow(q: _Floats, x: _Floats) -> _Floats:
    """For tokens of which every sum of products with either half of q is exact."""
    high = np.rint(q * 2.0**9) * 2.0**-9
    exact_once: _Floats = high @ x.T + (q - high) @ x.T + 0.0  # + 0.0: never -0.0
    return exact_once


def _largest_norm(tokens: _Floats) -> float:
    return float(np.sqrt(np.einsum("nd,nd->n", tokens, tokens).max(initial=0.0)))


def _wide(q: _Floats, x: _Floats) -> _Floats:
    """For any finite tokens: as integers of 40 bits, in two digits of 20."""
    (a, b), (c, d) = _digits(q), _digits(x)
    high, middle, low = _products(a, c), _products(a, d) + _products(b, c), _products(b, d)
    middle, low = middle + (low >> 20), low & 0xFFFFF
    high, middle = high + (middle >> 20), middle & 0xFFFFF
    lead = high.astype(np.float64)  # off by at most 2^9, which moves to the rest: both are exact
    rest = ((high - lead.astype(np.int64)) << 40) + (middle << 20) + low
    once: _Floats = (lead * 2.0**40 + rest.astype(np.float64)) * 2.0**-48
    return once


def _digits(tokens: _Floats) -> tuple[_Floats, _Floats]:
    high = np.floor(tokens * 2.0**4)
    return high, (tokens - high * 2.0**-4) * 2.0**24


def _products(a: _Floats, b: _Floats) -> _Digits:
    total = np.zeros((len(a), len(b)), dtype=np.int64)
    for first in range(0, a.shape[1], _CHUNK):
        total += (a[:, first : first + _CHUNK] @ b[:, first : first + _CHUNK].T).astype(np.int64)
    return total
