"""Resampled images: against the literal twin, and whether the interval covers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import get_args

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_evaluation.compare import Method, bootstrap, correlate

Matrix = NDArray[np.float64]
SCIPY = {"pearson": scipy.stats.pearsonr, "spearman": scipy.stats.spearmanr, "kendall": scipy.stats.kendalltau}


def twin(a: Matrix, b: Matrix, method: Method, resamples: int, seed: int) -> list[float]:
    """Every resample drawn, its pairs of different images written out, and scipy asked."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        drawn = rng.integers(0, len(a), len(a))
        kept = [(i, j) for i, j in combinations(drawn, 2) if i != j]
        x, y = (np.array([matrix[i, j] for i, j in kept]) for matrix in (a, b))
        defined = kept and np.ptp(x) and np.ptp(y)
        found.append(float(SCIPY[method](x, y).statistic) if defined else np.nan)
    return found


@settings(max_examples=15)
@given(st.integers(0, 1000), st.sampled_from(get_args(Method)), st.booleans())
def test_it_is_the_literal_bootstrap(seed: int, method: Method, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    matrices = rng.integers(0, 4, (2, 8, 8)).astype(float) if ties else rng.standard_normal((2, 8, 8))
    a, b = (matrix + matrix.T for matrix in matrices)
    found = bootstrap(a, b, method=method, resamples=30, seed=seed)
    expected = twin(a, b, method, 30, seed)
    assert found.samples == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert found.standard_error == pytest.approx(np.nanstd(expected, ddof=1), abs=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(np.nanquantile(expected, (0.025, 0.975))), abs=1e-9)


def test_self_pairs_would_add_agreement(related: tuple[Matrix, Matrix]) -> None:
    """A diagonal of ones, alike in both, does not move a single resample."""
    a, b = related
    raised = [matrix - np.diag(np.diag(matrix)) + 100 * np.eye(12) for matrix in (a, b)]
    assert np.array_equal(bootstrap(a, b).samples, bootstrap(*raised).samples)


def test_resamples_without_a_correlation_keep_their_place(linear: Callable[..., Matrix]) -> None:
    """Of four images one is drawn four times, or two are drawn, in 88 of 256 resamples: one similarity, or none."""
    found = bootstrap(linear(0, n=4), linear(1, n=4), resamples=2000)
    other = bootstrap(linear(0, n=4), linear(2, n=4), resamples=2000)
    assert np.isnan(found.samples).mean() == pytest.approx(88 / 256, abs=0.04)
    assert np.array_equal(np.isnan(found.samples), np.isnan(other.samples))


def test_differences_of_two_with_one_seed_are_paired(linear: Callable[..., Matrix]) -> None:
    """What makes a sample of images easy for both cancels out: the difference varies less than either."""
    truth = linear(0, n=40)
    one, other = (truth + 0.5 * linear(seed, n=40) for seed in (1, 2))
    first, second = (bootstrap(matrix, truth, seed=3) for matrix in (one, other))
    independent = np.hypot(first.standard_error, second.standard_error)
    assert np.std(first.samples - second.samples) < independent


@pytest.mark.parametrize(("method", "trials"), [("pearson", 150), ("spearman", 25)])
def test_the_interval_covers(method: Method, trials: int) -> None:
    """40 images of a population: about 95 % of the intervals hold its correlation. Percentile intervals fall short of
    their level at such sizes, so at least 85 % are asked for."""

    def rsms(seed: int, n: int) -> tuple[Matrix, Matrix]:
        rng = np.random.default_rng(seed)
        shared, *own = rng.standard_normal((3, n, 4))
        return tuple((shared + noise) @ (shared + noise).T for noise in own)  # type: ignore[return-value]

    truth = correlate(*rsms(10_000, 1000), method=method)
    held = 0
    for trial in range(trials):
        found = bootstrap(*rsms(trial, 40), method=method, resamples=200, seed=trial)
        held += found.low <= truth <= found.high
    assert held / trials >= 0.85
    assert found.high - found.low < 0.5


def test_identical_rsms_are_certain(linear: Callable[..., Matrix]) -> None:
    found = bootstrap(linear(0), 2 * linear(0) + 1)
    assert (found.low, found.high) == pytest.approx((1.0, 1.0))
    assert str(found) == "1.000 [1.000, 1.000]"


def test_what_gives_no_interval_is_named(linear: Callable[..., Matrix]) -> None:
    a, b = linear(0), linear(1)
    with pytest.raises(InvalidInput, match="resamples is 1"):
        bootstrap(a, b, resamples=1)
    with pytest.raises(InvalidInput, match=r"level is 95; give a share"):
        bootstrap(a, b, level=95)
    with pytest.raises(InvalidInput, match="resamples of 3 images have no correlation"):
        bootstrap(a[:3, :3], b[:3, :3])
