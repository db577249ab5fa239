"""The int8 gate: sets centred and rounded to a byte a number, with errors that are proven to be large enough.

What is ruled out by the gate must be ruled out for certain, so every error and norm here is an upper bound of the exact
one. This file is the definition; what a collection stores (docs/format.md) is what it gives.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import FeatureError
from setwise_engine.matching._blocks import Gate
from setwise_engine.matching._types import Floats, Half

__all__ = ["gate", "gate_holds"]

_LARGEST = 127
# x - c is rounded to float64, by at most 2^-53 of itself; what sums of squares lose is far less than a float32 step.
_ROUNDING = 2.0**-50
_Singles = NDArray[np.float32]


def gate(tokens: Half, offsets: NDArray[np.int64]) -> Gate:
    """The gate of sets that lie together; set r holds tokens[offsets[r] : offsets[r + 1]].

    tokens: (t, d) float16, finite; offsets: (rows + 1,) int64, rising from 0 to t. For the set's tokens x_j:

        c        float32 of their mean (0 for an empty set)
        scale    the least float32 with |x_j - c| <= 127 scale for every number; 0 where x_j = c
        codes    (x_j - c) / scale to the nearest integer, -127 to 127
        error    at least |x_j - c - scale codes|, norm at least |x_j - c|: float32, rounded up twice
        sum      of the codes

    Raises FeatureError when the tokens are not such an array.
    """
    if tokens.dtype != np.float16 or tokens.ndim != 2:
        raise FeatureError(
            f"tokens are {tokens.dtype} of shape {tokens.shape}; give float16 of shape (t, d)", field="tokens"
        )
    (t, d), rows = tokens.shape, len(offsets) - 1
    made = Gate(
        codes=np.empty((t, d), np.int8),
        scales=np.empty(t, np.float32),
        errors=np.empty(t, np.float32),
        norms=np.empty(t, np.float32),
        sums=np.empty(t, np.int32),
        means=np.zeros((rows, d), np.float32),
    )
    bounds = offsets.tolist()
    with np.errstate(invalid="ignore"):  # infinity less infinity: found below
        for row, (first, last) in enumerate(itertools.pairwise(bounds)):
            if last > first:  # a set at a time stays in the processor's cache
                _fill(made, row, slice(first, last), tokens[first:last].astype(np.float64))
    return made


def gate_holds(made: Gate, tokens: Half) -> bool:
    """Whether what a set's gate claims of its tokens (n, d) is true: that its errors, norms and sums are right.

    A gate that holds rules nothing out that belongs into an answer, whoever made it. Tokens must be finite.
    """
    with np.errstate(all="ignore"):  # damaged numbers hold nothing: every comparison with NaN fails
        x = tokens.astype(np.float64) - made.means
        norms, rest = _norms(x), x - made.codes * made.scales.astype(np.float64)[:, None]
    return bool(
        (norms <= made.norms).all()
        and (_norms(rest) + _ROUNDING * norms <= made.errors).all()
        and (made.codes.sum(axis=1, dtype=np.int32) == made.sums).all()
        and made.codes.min(initial=0) >= -_LARGEST
    )


def _fill(made: Gate, row: int, span: slice, x: Floats) -> None:
    made.means[row] = x.mean(axis=0)
    x -= made.means[row]
    norms = _norms(x)
    if not np.isfinite(norms).all():
        raise FeatureError("tokens hold NaN or infinity; every number must be finite", field="tokens")
    scales = _scales(np.maximum(x.max(axis=1, initial=0.0), -x.min(axis=1, initial=0.0)))
    steps = scales.astype(np.float64)[:, None]
    codes = np.clip(np.rint(x / np.where(steps > 0, steps, 1.0)), -_LARGEST, _LARGEST)
    made.codes[span] = codes
    made.scales[span] = scales
    made.sums[span] = codes.sum(axis=1)
    made.norms[span] = _rounded_up(norms)
    codes *= steps  # exact: 24 bits times 7
    x -= codes
    made.errors[span] = _rounded_up(_norms(x) + _ROUNDING * norms)


def _norms(x: Floats) -> Floats:
    norms: Floats = np.sqrt(np.einsum("nd,nd->n", x, x))
    return norms


def _scales(largest: Floats) -> _Singles:
    """The least float32 whose 127-fold is not below the largest number, exactly: 31 bits fit float64."""
    scales = (largest / _LARGEST).astype(np.float32)
    short = scales.astype(np.float64) * _LARGEST < largest
    return np.where(short, np.nextafter(scales, np.float32(np.inf)), scales)


def _rounded_up(values: Floats) -> _Singles:
    """A float32 above each value: the next one, and one more for the rounding of the float64 sums; 0 stays 0."""
    nearest = values.astype(np.float32)
    above = np.nextafter(nearest, np.float32(np.inf))
    return np.where(values > 0, np.nextafter(above, np.float32(np.inf)), nearest)
