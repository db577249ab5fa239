"""Label overlap of rankings, chance, bootstrap intervals and recall by number of candidates."""

from __future__ import annotations

import numpy as np
import pytest

from setwise_engine.errors import InvalidInput
from setwise_evaluation.retrieval import (
    Estimate,
    bootstrap,
    f1_at,
    label_f1,
    paired_bootstrap,
    random_f1,
    recall_by_candidates,
)


def test_f1_is_twice_what_is_shared_over_what_both_hold() -> None:
    assert label_f1({"cat", "cup"}, {"cat", "cup"}) == 1
    assert label_f1({"cat", "cup"}, {"cat"}) == pytest.approx(2 / 3)
    assert label_f1({"cat"}, {"dog"}) == 0
    assert label_f1(set(), set()) == 0


def test_f1_at_k_averages_the_first_hits_and_counts_missing_ones_as_0() -> None:
    hits = [{"cat"}, {"dog"}, {"cat"}]
    assert f1_at({"cat"}, hits, 1) == 1
    assert f1_at({"cat"}, hits, 2) == 0.5
    assert f1_at({"cat"}, hits, 6) == pytest.approx(2 / 6)
    with pytest.raises(InvalidInput, match="k is 0"):
        f1_at({"cat"}, hits, 0)


def test_chance_is_the_mean_over_all_pairs() -> None:
    assert random_f1([{"cat"}, {"dog"}], [{"cat"}, {"cup"}]) == 0.25


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
    with pytest.raises(InvalidInput, match="2 values cannot be paired with 3"):
        paired_bootstrap(np.zeros(2), np.zeros(3), seed=0)


def test_recall_counts_exact_hits_among_the_first_candidates() -> None:
    coarse = ["c", "a", "x", "b"]
    assert recall_by_candidates(["a", "b"], coarse, [1, 2, 4]) == [0, 0.5, 1]
    assert recall_by_candidates(["gone"], coarse, [4, 100]) == [0, 0]
    with pytest.raises(InvalidInput, match="no exact hits"):
        recall_by_candidates([], coarse, [1])
