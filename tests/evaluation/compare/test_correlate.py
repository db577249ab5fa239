"""Correlations over pairs of images, against scipy and the textbook forms."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import get_args

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_evaluation.compare import Method, correlate, partial_correlation

Matrix = NDArray[np.float64]
SCIPY = {"pearson": scipy.stats.pearsonr, "spearman": scipy.stats.spearmanr, "kendall": scipy.stats.kendalltau}


def pairs(matrix: Matrix) -> Matrix:
    """The slow twin of the upper triangle."""
    return np.array([matrix[i, j] for i, j in combinations(range(len(matrix)), 2)])


@st.composite
def rsms(draw: st.DrawFn, levels: int = 6) -> Matrix:
    """A symmetric matrix over 6 images with many ties, not constant."""
    values = draw(st.lists(st.integers(0, levels), min_size=15, max_size=15).filter(lambda v: len(set(v)) > 1))
    matrix = np.zeros((6, 6))
    matrix[np.triu_indices(6, 1)] = values
    return matrix + matrix.T


@given(rsms(), rsms(), st.sampled_from(get_args(Method)))
def test_all_three_are_scipys(a: Matrix, b: Matrix, method: Method) -> None:
    assert correlate(a, b, method=method) == pytest.approx(SCIPY[method](pairs(a), pairs(b)).statistic, abs=1e-12)


@given(rsms(), rsms(), st.sampled_from(("spearman", "kendall")), st.permutations(range(6)))
def test_ranks_ignore_monotone_maps_and_everything_ignores_diagonals_and_order(
    a: Matrix, b: Matrix, method: Method, order: list[int]
) -> None:
    there = correlate(a, b, method=method)
    bent = np.exp(a / 3) + 5 * np.eye(6)
    assert correlate(bent, b, method=method) == pytest.approx(there, abs=1e-12)
    renamed = np.ix_(order, order)
    assert correlate(a[renamed], b[renamed], method=method) == pytest.approx(there, abs=1e-12)


@given(rsms(), st.floats(0.1, 100), st.floats(-10, 10))
def test_pearson_ignores_scale_and_shift(a: Matrix, scale: float, shift: float) -> None:
    assert correlate(a, scale * a + shift) == pytest.approx(1.0)
    assert correlate(a, -scale * a + shift) == pytest.approx(-1.0)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_partial_correlation_is_that_of_residuals(linear: Callable[..., Matrix], method: Method) -> None:
    first, second = linear(3), linear(4)
    a, b = linear(1) + first + second, linear(2) + first - second
    x, y, *z = (pairs(matrix) for matrix in (a, b, first, second))
    if method == "spearman":
        x, y, *z = (scipy.stats.rankdata(values) for values in (x, y, *z))
    design = np.stack([np.ones_like(x), *z], axis=1)
    left = [values - design @ np.linalg.lstsq(design, values, rcond=None)[0] for values in (x, y)]
    expected = scipy.stats.pearsonr(*left).statistic
    assert partial_correlation(a, b, [first, second], method=method) == pytest.approx(expected)


def test_kendalls_partial_tau(linear: Callable[..., Matrix]) -> None:
    a, b, z = linear(1) + linear(3), linear(2) + linear(3), linear(3)
    ab, az, bz = (correlate(*two, method="kendall") for two in ((a, b), (a, z), (b, z)))
    expected = (ab - az * bz) / np.sqrt((1 - az**2) * (1 - bz**2))
    assert partial_correlation(a, b, [z], method="kendall") == pytest.approx(expected)


def test_controls_may_repeat_one_another_but_not_explain_everything(linear: Callable[..., Matrix]) -> None:
    a, b, z = linear(1) + linear(3), linear(2) + linear(3), linear(3)
    once = partial_correlation(a, b, [z])
    assert partial_correlation(a, b, [z, 2 * z + 1]) == pytest.approx(once)
    with pytest.raises(InvalidInput, match="the controls explain a wholly"):
        partial_correlation(a, b, [3 * a - 1])
    with pytest.raises(InvalidInput, match="there are no controls"):
        partial_correlation(a, b, [])
    with pytest.raises(InvalidInput, match=r"controls\[1\] has shape \(2, 3\)"):
        partial_correlation(a, b, [z, np.zeros((2, 3))])


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(InvalidInput, match="method is 'cosine'; choose one of pearson, spearman, kendall"):
        correlate(np.eye(3), np.eye(3), method="cosine")  # type: ignore[arg-type]
