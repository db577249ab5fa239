"""Inner products of float16 arrays without rounding.

A float16 number is an integer k times 2^-24 with |k| < 2^40. Written as k = 2^20 h + l with |h| <= 2^20 and
|l| <= 2^19, the products h h', h l' and l l' are integers of at most 2^40, and up to 2^13 of them add up in float64
without rounding, in whatever order and with whatever instructions. Python's integers carry the rest.
So a matched sum depends on its pairs alone: not on their order, the machine or the linear algebra library.
"""

from __future__ import annotations

import numpy as np

from setwise_engine.matching._types import Floats, Half

__all__ = ["exact_dot", "square"]

_BLOCK = 1 << 13


def exact_dot(a: Half, b: Half) -> float:
    """Sum of a * b over all elements, rounded once to the nearest float64.

    a, b: float16 arrays of equal shape, finite.
    """
    (ah, al), (bh, bl) = _split(a), _split(b)
    return _join(_integer(ah, bh), _integer(ah, bl) + _integer(al, bh), _integer(al, bl))


def square(a: Half) -> float:
    """Squared Frobenius norm of a float16 array, rounded once to the nearest float64."""
    high, low = _split(a)
    return _join(_integer(high, high), 2 * _integer(high, low), _integer(low, low))


def _split(a: Half) -> tuple[Floats, Floats]:
    """The integers h and l of every element, as float64."""
    value = a.astype(np.float64).ravel()
    high = np.rint(value * 2.0**4)
    value *= 2.0**24
    value -= high * 2.0**20
    return high, value


def _integer(a: Floats, b: Floats) -> int:
    return sum(int(a[i : i + _BLOCK] @ b[i : i + _BLOCK]) for i in range(0, len(a), _BLOCK))


def _join(high: int, middle: int, low: int) -> float:
    """(2^40 high + 2^20 middle + low) 2^-48; Python's division of integers rounds correctly."""
    return ((high << 40) + (middle << 20) + low) / (1 << 48)
