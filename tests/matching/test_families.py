"""Every family of matrices, every path: the true optimum, proven, and the same value everywhere."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from families import FAMILIES, matrix
from scipy.optimize import linear_sum_assignment

from setwise_engine.matching import Assignment, assign, assign_batch, reference, verify
from setwise_engine.matching._paths import available, use

SHAPES = [
    (0, 3),
    (3, 0),
    (1, 1),
    (1, 7),
    (7, 1),
    (2, 2),
    (5, 5),
    (6, 9),
    (9, 6),
    (17, 17),
    (40, 25),
    (25, 40),
    (33, 33),
]
TINY = [(1, 1), (1, 4), (4, 1), (2, 2), (3, 3), (3, 5), (5, 3), (5, 5)]

every_family = pytest.mark.parametrize("family", FAMILIES)
every_path = pytest.mark.parametrize("path", available())


def on_grid(A: np.ndarray) -> list[list[Fraction]]:
    """The oracle of what counts: entries to the nearest multiple of 2^(e - 97), ties to even, where |A| < 2^e."""
    unit = Fraction(2) ** (math.frexp(np.abs(A).max(initial=0.0))[1] - 97)
    return [[round(Fraction(a) / unit) * unit for a in row] for row in A.tolist()]


def brute_force(A: np.ndarray) -> float:
    """The oracle: the largest of all matchings' sums, in rational numbers, rounded once."""
    if A.shape[0] > A.shape[1]:
        return brute_force(A.T)
    rows = on_grid(A)
    return float(max(sum(map(list.__getitem__, rows, p)) for p in itertools.permutations(range(A.shape[1]), len(rows))))


def check(A: np.ndarray, solved: Assignment) -> None:
    """Proven, and no worse than what scipy finds in float64, but for the roundings of both."""
    verify(A, solved)
    scale = float(np.abs(A).max(initial=0.0))
    theirs = math.fsum(A[linear_sum_assignment(A, maximize=True)])
    slack = 4 * min(A.shape) ** 2 * 2.0**-53 * scale
    assert theirs <= solved.value + min(A.shape) * 2.0**-97 * scale + math.ulp(theirs)
    assert solved.value <= theirs + slack


@every_family
@pytest.mark.parametrize("shape", TINY)
def test_nothing_tried_one_by_one_is_better(family: str, shape: tuple[int, int]) -> None:
    for seed in range(3):
        A = matrix(family, seed, *shape)
        assert reference.assign(A).value == brute_force(A)


@every_path
@every_family
def test_every_path_finds_and_proves_the_optimum(path: str, family: str) -> None:
    problems = [matrix(family, 0, *shape) for shape in SHAPES]
    with use(path):
        together = assign_batch(problems, threads=2)
        for A, solved in zip(problems, together, strict=True):
            check(A, solved)
            assert solved.value == assign(A).value == reference.assign(A).value


@pytest.mark.slow
@every_family
def test_every_path_agrees_on_a_thousand_problems(family: str) -> None:
    rng = np.random.default_rng(len(family))
    shapes = rng.integers(1, 33, (1000, 2))
    shapes[::3, 1] = shapes[::3, 0]
    problems = [matrix(family, seed, int(n), int(m)) for seed, (n, m) in enumerate(shapes)]
    values = [reference.assign(A).value for A in problems]
    for path in available()[1:]:
        with use(path):
            for A, solved, value in zip(problems, assign_batch(problems, threads=2), values, strict=True):
                check(A, solved)
                assert solved.value == value, path


LARGE = [(family, shape) for family in FAMILIES for shape in [(100, 100), (49, 100), (128, 96), (256, 32)]]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "shape"), [*LARGE, ("staircase", (400, 400)), ("staircase", (500, 400))])
def test_every_path_agrees_on_large_problems(family: str, shape: tuple[int, int]) -> None:
    A = matrix(family, 1, *shape)
    value = reference.assign(A).value
    for path in available()[1:]:
        with use(path):
            solved = assign(A)
            check(A, solved)
            assert solved.value == value, path


@pytest.mark.slow
@every_family
def test_nothing_of_many_tiny_problems_tried_one_by_one_is_better(family: str) -> None:
    for seed, shape in itertools.product(range(25), TINY):
        A = matrix(family, seed, *shape)
        value = brute_force(A)
        for path in available():
            with use(path):
                assert assign(A).value == value, path


def test_there_are_at_least_twenty_families() -> None:
    assert len(FAMILIES) >= 20
