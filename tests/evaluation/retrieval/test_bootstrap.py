"""Intervals over queries, alone, paired, and many at once."""

from __future__ import annotations

import numpy as np
import pytest

from setwise_engine.errors import InvalidInput
from setwise_evaluation.retrieval import Estimate, bootstrap, bootstrap_rows, paired_bootstrap


def test_a_bootstrap_interval_holds_the_mean_and_is_the_same_for_one_seed() -> None:
    values = np.random.default_rng(0).normal(0.4, 0.1, 400)
    estimate = bootstrap(values, seed=1, resamples=500)
    assert estimate == bootstrap(values, seed=1, resamples=500)
    assert estimate.low < estimate.value < estimate.high
    half_width = (estimate.high - estimate.low) / 2
    assert half_width == pytest.approx(1.96 * values.std() / np.sqrt(400), rel=0.15)


def test_an_estimate_reads_as_a_table_gives_it() -> None:
    assert str(Estimate(0.3571, 0.3309, 0.3834)) == "0.357 [0.331, 0.383]"
    assert f"{Estimate(0.026, -0.01, 0.06):+.2f}" == "+0.03 [-0.01, +0.06]"


def test_rows_have_the_intervals_that_each_would_have_alone() -> None:
    values = np.random.default_rng(5).normal(0.4, 0.1, (3, 40))
    together = bootstrap_rows(values, seed=1, resamples=300)
    for row, estimate in zip(values, together, strict=True):
        alone = bootstrap(row, seed=1, resamples=300)
        assert (estimate.value, estimate.low, estimate.high) == pytest.approx((alone.value, alone.low, alone.high))


def test_pairing_takes_out_what_makes_a_query_hard_for_both() -> None:
    rng = np.random.default_rng(2)
    hardness = rng.uniform(0, 1, 300)
    better, worse = hardness + 0.02 + rng.normal(0, 0.02, 300), hardness
    difference = paired_bootstrap(better, worse, seed=3, resamples=500)
    assert difference.low > 0
    assert bootstrap(better, seed=3, resamples=500).low < bootstrap(worse, seed=3, resamples=500).high


def test_values_that_cannot_be_averaged_or_paired_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no queries"):
        bootstrap(np.zeros(0), seed=0)
    with pytest.raises(InvalidInput, match="no queries"):
        bootstrap_rows(np.zeros((2, 0)), seed=0)
    with pytest.raises(InvalidInput, match="2 values cannot be paired with 3"):
        paired_bootstrap(np.zeros(2), np.zeros(3), seed=0)
