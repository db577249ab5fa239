"""The permutation test: its statistic, its p, and its level under the null."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_evaluation.compare import Alternative, Method, correlate, mantel

Matrix = NDArray[np.float64]


@pytest.mark.parametrize("method", get_args(Method))
def test_each_permutation_is_a_correlation_of_renamed_images(related: tuple[Matrix, Matrix], method: Method) -> None:
    a, b = related
    found = mantel(a, b, method=method, permutations=20, seed=7)
    rng = np.random.default_rng(7)
    expected = [
        correlate(a[np.ix_(order, order)], b, method=method) for order in (rng.permutation(12) for _ in range(20))
    ]
    assert found.null == pytest.approx(expected)
    assert found.correlation == pytest.approx(correlate(a, b, method=method))


@pytest.mark.parametrize("alternative", get_args(Alternative))
def test_p_counts_the_observed_order_too(related: tuple[Matrix, Matrix], alternative: Alternative) -> None:
    found = mantel(*related, permutations=99, alternative=alternative)
    r = found.correlation
    extreme = {
        "greater": found.null >= r,
        "less": found.null <= r,
        "two-sided": np.abs(found.null) >= abs(r),
    }[alternative]
    assert found.p_value == (1 + extreme.sum()) / 100


def test_p_nears_the_share_of_all_orders(linear: Callable[..., Matrix]) -> None:
    """Of five images all 120 orders can be told."""
    a, b = linear(0, n=5) + linear(1, n=5), linear(0, n=5) + linear(2, n=5)
    r = correlate(a, b)
    every = [correlate(a[np.ix_(order, order)], b) >= r - 1e-12 for order in permutations(range(5))]
    assert mantel(a, b, permutations=20_000, seed=1).p_value == pytest.approx(np.mean(every), abs=0.01)


def test_orders_that_change_nothing_count_as_extreme() -> None:
    """Two classes of three: 72 of 720 orders give the same matrix, and rounding must not tell them apart."""
    classes = np.kron(np.eye(2), np.ones((3, 3))) / 3
    found = mantel(classes, 0.1 * classes + 0.7, permutations=5000, seed=2)
    assert found.p_value == pytest.approx(0.1, abs=0.015)


def test_p_is_uniform_under_the_null(linear: Callable[..., Matrix]) -> None:
    """Of 400 pairs of unrelated RSMs about 5, 20 and 50 % fall below these levels: within 3 standard errors."""
    p = np.array([mantel(linear(2 * k), linear(2 * k + 1), permutations=99, seed=k).p_value for k in range(400)])
    for level in (0.05, 0.2, 0.5):
        assert np.mean(p <= level) == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / 400))


def test_permuting_pairs_instead_would_find_too_much(linear: Callable[..., Matrix]) -> None:
    """Why images are permuted: similarities of low-dimensional features hang together, and pairs are no sample."""
    wrong = []
    for k in range(100):
        a, b = (linear(2 * k + place, d=1) for place in (0, 1))
        x, y = (matrix[np.triu_indices(12, 1)] for matrix in (np.abs(a), np.abs(b)))
        rng = np.random.default_rng(k)
        null = [np.corrcoef(rng.permutation(x), y)[0, 1] for _ in range(99)]
        wrong.append((1 + np.sum(null >= np.corrcoef(x, y)[0, 1])) / 100)
    assert np.mean(np.array(wrong) <= 0.05) > 0.1


def test_the_seed_decides_and_nothing_global_moves(related: tuple[Matrix, Matrix]) -> None:
    state = np.random.get_state()[1].copy()  # type: ignore[index,union-attr]
    one, same, other = (mantel(*related, permutations=50, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.null, same.null)
    assert not np.array_equal(one.null, other.null)
    assert np.array_equal(np.random.get_state()[1], state)  # type: ignore[index]
    assert str(one).endswith("(50 permutations, greater)")


def test_wrong_options_are_named(related: tuple[Matrix, Matrix]) -> None:
    with pytest.raises(InvalidInput, match="permutations is 0"):
        mantel(*related, permutations=0)
    with pytest.raises(InvalidInput, match="alternative is 'more'; choose one of greater, less, two-sided"):
        mantel(*related, alternative="more")  # type: ignore[arg-type]
