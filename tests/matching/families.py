"""Matrices to assign: families that differ in what makes them hard. `engine/kernel/check/families.hpp` has them in C++.

A family is a function of a generator and a shape: an (n, m) float64 matrix, finite, n and m at least 0.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from setwise_engine.matching import reference

__all__ = ["FAMILIES", "PHOTOS", "SETS", "matrix"]

Floats = NDArray[np.float64]
Half = NDArray[np.float16]
Family = Callable[[Generator, int, int], Floats]
Sets = Callable[[Generator, int, int], tuple[Half, Half]]

PHOTOS: Half = np.load(Path(__file__).parent / "fixtures" / "photos.npy")
"""Encoded tokens of ten photos, (10, 100, 32) float16."""


def matrix(name: str, seed: int, n: int, m: int) -> Floats:
    """The matrix of a family, a shape and a seed."""
    return FAMILIES[name](np.random.default_rng([seed, n, m, sum(name.encode())]), n, m)


# Sets of tokens, whose affinities are families too.


def photos(rng: Generator, n: int, m: int) -> tuple[Half, Half]:
    """Two photos, or one with itself."""
    a, b = PHOTOS[rng.integers(10, size=2)]
    return a[_some(rng, len(a), n)], b[_some(rng, len(b), m)]


def copies(rng: Generator, n: int, m: int) -> tuple[Half, Half]:
    """A photo and parts of it in another order: the identical tokens are best, and equal to one another's norms."""
    photo = PHOTOS[rng.integers(10)][_some(rng, 100, max(n, m))]
    return photo[rng.permutation(len(photo))[:n]], photo[rng.permutation(len(photo))[:m]]


def repeats(rng: Generator, n: int, m: int) -> tuple[Half, Half]:
    """Few different tokens, each many times: whole blocks of ties, as a blank wall gives."""
    photo = PHOTOS[rng.integers(10)]
    few = photo[_some(rng, len(photo), 4)]
    return few[rng.integers(4, size=n)], few[rng.integers(4, size=m)]


def blanks(rng: Generator, n: int, m: int) -> tuple[Half, Half]:
    """Photos of which half of the tokens are zero."""
    q, x = photos(rng, n, m)
    return q * (rng.random((n, 1)) < 0.5).astype(np.float16), x * (rng.random((m, 1)) < 0.5).astype(np.float16)


def normals(rng: Generator, n: int, m: int) -> tuple[Half, Half]:
    """No structure at all."""
    return _half(rng.standard_normal((n, 32))), _half(rng.standard_normal((m, 32)))


def hubs(rng: Generator, n: int, m: int) -> tuple[Half, Half]:
    """One direction common to all and lengths that differ: every row wants the same few columns."""
    common = 2 * rng.standard_normal(32)
    q, x = (common + rng.standard_normal((k, 32)) for k in (n, m))
    return _half(q * rng.lognormal(size=(n, 1))), _half(x * rng.lognormal(size=(m, 1)))


def neighbours(rng: Generator, n: int, m: int) -> tuple[Half, Half]:
    """Tokens one or two float16 steps from one another: near-ties in the last bits of large sums."""
    one = PHOTOS[rng.integers(10), rng.integers(100)]
    q, x = (np.tile(one, (k, 1)).view(np.int16) + rng.integers(0, 3, (k, 32), np.int16) for k in (n, m))
    return q.view(np.float16), x.view(np.float16)


def extremes(rng: Generator, n: int, m: int) -> tuple[Half, Half]:
    """The largest and the smallest that float16 holds, in one set."""
    numbers = np.array([65504, -65504, 2**-24, -(2**-24), 2**-14, 1, -1, 0, -0.0], np.float16)
    return rng.choice(numbers, (n, 8)), rng.choice(numbers, (m, 8))


# Matrices.


def uniform(rng: Generator, n: int, m: int) -> Floats:
    return rng.random((n, m))


def gaussian(rng: Generator, n: int, m: int) -> Floats:
    return rng.standard_normal((n, m))


def negative(rng: Generator, n: int, m: int) -> Floats:
    """Every pair costs, and yet min(n, m) of them must be taken."""
    return -1 - rng.exponential(size=(n, m))


def constant(rng: Generator, n: int, m: int) -> Floats:
    return np.full((n, m), rng.standard_normal())


def zeros(rng: Generator, n: int, m: int) -> Floats:
    """Of both signs."""
    return np.where(rng.random((n, m)) < 0.5, 0.0, -0.0)


def integers(rng: Generator, n: int, m: int) -> Floats:
    """Ties by the dozen."""
    return rng.integers(-3, 4, (n, m)).astype(np.float64)


def binary(rng: Generator, n: int, m: int) -> Floats:
    """Maximum bipartite matching."""
    return (rng.random((n, m)) < 1.5 / max(1, min(n, m))).astype(np.float64)


def sparse(rng: Generator, n: int, m: int) -> Floats:
    return np.where(rng.random((n, m)) < 0.1, rng.standard_normal((n, m)), 0.0)


def diagonal(rng: Generator, n: int, m: int) -> Floats:
    """One clear partner each, hidden by a permutation."""
    return np.eye(max(n, m))[rng.permutation(max(n, m))[:n], :m] + 1e-3 * rng.random((n, m))


def rank_one(rng: Generator, n: int, m: int) -> Floats:
    """Large with large: the optimum sorts, and rounding nearly ties the rest."""
    return np.outer(rng.standard_normal(n), rng.standard_normal(m))


def low_rank(rng: Generator, n: int, m: int) -> Floats:
    return rng.standard_normal((n, 3)) @ rng.standard_normal((3, m))


def additive(rng: Generator, n: int, m: int) -> Floats:
    """a_i + b_j: for n = m every matching ties, but for rounding."""
    return np.add.outer(rng.standard_normal(n), rng.standard_normal(m))


def nearly_additive(rng: Generator, n: int, m: int) -> Floats:
    return additive(rng, n, m) + 1e-6 * rng.standard_normal((n, m))


def machol_wien(rng: Generator, n: int, m: int) -> Floats:
    """Costs i j, the classic hard case (Machol and Wien, "Errata", Operations Research 25, 1977)."""
    return -np.outer(np.arange(1.0, n + 1), np.arange(1.0, m + 1))


def decades(rng: Generator, n: int, m: int) -> Floats:
    """Twelve decades within one matrix."""
    return 10 ** rng.uniform(-6, 6, (n, m)) * rng.choice([-1.0, 1.0], (n, m))


def more_decades(rng: Generator, n: int, m: int) -> Floats:
    """More decades than float64 has digits; the smallest round to zero on the grid."""
    return 10 ** rng.uniform(-30, 30, (n, m)) * rng.choice([-1.0, 1.0], (n, m))


def huge(rng: Generator, n: int, m: int) -> Floats:
    return 1e30 * rng.standard_normal((n, m))


def tiny(rng: Generator, n: int, m: int) -> Floats:
    return 1e-30 * rng.standard_normal((n, m))


def subnormal(rng: Generator, n: int, m: int) -> Floats:
    """The smallest numbers that float64 knows."""
    return rng.integers(-9, 10, (n, m)) * 5e-324


def largest(rng: Generator, n: int, m: int) -> Floats:
    """As large as is allowed: sums come near float64's end."""
    return rng.uniform(-1e300, 1e300, (n, m))


def nearly_equal(rng: Generator, n: int, m: int) -> Floats:
    """1 and its next few float64 neighbours."""
    return 1 + rng.integers(0, 5, (n, m)) * 2.0**-52


def last_bits(rng: Generator, n: int, m: int) -> Floats:
    """Affinities' own grid: large numbers whose order only multiples of 2^-48 decide."""
    return 8.0 * rng.integers(0, 2, (n, m)) + rng.integers(0, 4, (n, m)) * 2.0**-48


def doubled(rng: Generator, n: int, m: int) -> Floats:
    """Rows and columns come in equal pairs."""
    return rng.standard_normal((n // 2 + 1, m // 2 + 1)).repeat(2, axis=0).repeat(2, axis=1)[:n, :m]


def distances(rng: Generator, n: int, m: int) -> Floats:
    """Points in the plane: Euclidean distances, negated."""
    return -np.linalg.norm(rng.random((n, 1, 2)) - rng.random((1, m, 2)), axis=2)


def contested(rng: Generator, n: int, m: int) -> Floats:
    """A few columns are far better for everybody, by nearly the same: a price war for auction-like solvers."""
    return rng.random((n, m)) * 1e-3 + 10.0 * (np.arange(m) < max(1, m // 8))


def toeplitz(rng: Generator, n: int, m: int) -> Floats:
    """-|i - j|: chains of moves as long as the matrix."""
    return -np.abs(np.subtract.outer(np.arange(float(n)), np.arange(float(m)) - rng.integers(0, 3)))


def staircase(rng: Generator, n: int, m: int) -> Floats:
    """A chain of moves that each gain less than float32 can see, and one at its end that loses most of what they add up
    to: prices that float32 believes right must rise along the whole chain, until an entry far from tight is reached."""
    A, s = np.full((n, m), -1.0), min(n, m)
    np.fill_diagonal(A, 1.0)
    gains = rng.uniform(0.5, 0.9, max(0, s - 1)) * 2.0**-24
    if len(gains):
        gains[-1] = -0.95 * gains[:-1].sum()
    A[np.arange(len(gains)), np.arange(1, len(gains) + 1)] += 2 + gains
    return A[rng.permutation(n)][:, rng.permutation(m)]


def single(rng: Generator, n: int, m: int) -> Floats:
    """float32 numbers as float64: the lower bits are empty."""
    return rng.standard_normal((n, m)).astype(np.float32).astype(np.float64)


def _some(rng: Generator, among: int, count: int) -> NDArray[np.intp]:
    """Indices without repeats while there are enough."""
    return rng.choice(among, count, replace=count > among)


def _half(tokens: Floats) -> Half:
    return tokens.astype(np.float16)


def _affinities(sets: Sets) -> Family:
    return lambda rng, n, m: reference.affinity(*sets(rng, n, m))


SETS: dict[str, Sets] = {f.__name__: f for f in (photos, copies, repeats, blanks, normals, hubs, neighbours, extremes)}
"""Pairs of token sets by the name of their family."""

_MATRICES: list[Family] = [uniform, gaussian, negative, constant, zeros, integers, binary, sparse, diagonal, rank_one]
_MATRICES += [low_rank, additive, nearly_additive, machol_wien, decades, more_decades, huge, tiny, subnormal, largest]
_MATRICES += [nearly_equal, last_bits, doubled, distances, contested, toeplitz, staircase, single]

FAMILIES: dict[str, Family] = {name: _affinities(sets) for name, sets in SETS.items()}
"""Every family by its name."""
FAMILIES |= {f.__name__: f for f in _MATRICES}
