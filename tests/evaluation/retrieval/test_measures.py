"""Precision, recall and average precision, plain and graded, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from setwise_engine.errors import InvalidInput
from setwise_evaluation.retrieval import average_precision, graded_precision, measured

GRADES = st.sampled_from([0.0, 0.25, 0.5, 1.0])
OVERLAPS = st.tuples(st.integers(1, 4), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=GRADES)
)


def test_average_precision_is_the_mean_precision_at_what_is_relevant() -> None:
    assert average_precision([1, 0, 0.5]) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert average_precision([0.1, 0.1]) == 1
    assert np.isnan(average_precision([0, 0]))


def test_graded_precision_is_1_for_the_best_order_and_average_precision_for_yes_and_no() -> None:
    assert graded_precision([1, 0.5, 0.25, 0]) == 1
    assert graded_precision([0.5, 1, 0]) == pytest.approx((0.5 + 0.75) / (1 + 0.75))
    assert graded_precision([0, 1, 1, 0, 1]) == pytest.approx(average_precision([0, 1, 1, 0, 1]))
    assert np.isnan(graded_precision([0, 0]))


@given(OVERLAPS, st.integers(0, 2**32 - 1))
def test_all_measures_are_those_of_each_query_by_definition(overlap: np.ndarray, seed: int) -> None:
    order = np.argsort(np.random.default_rng(seed).random(overlap.shape), axis=1)
    found = measured(overlap, order, [1, 2, 10])
    for query, (row, places) in enumerate(zip(overlap, order, strict=True)):
        gains = row[places].tolist()
        relevant = [gain for gain in gains if gain > 0]
        for k in (1, 2, 10):
            hits = [gain for gain in gains[:k] if gain > 0]
            assert found[f"F1@{k}"][query] == pytest.approx(sum(gains[:k]) / k)
            assert found[f"P@{k}"][query] == pytest.approx(len(hits) / k)
            recall = len(hits) / len(relevant) if relevant else np.nan
            assert found[f"R@{k}"][query] == pytest.approx(recall, nan_ok=True)
        assert found["AP"][query] == pytest.approx(average_precision(gains), nan_ok=True)
        assert found["graded AP"][query] == pytest.approx(graded_precision(gains), nan_ok=True)
        assert found["same@1"][query] == float(gains[0] == 1)


def test_a_k_below_1_is_refused() -> None:
    with pytest.raises(InvalidInput, match="k is 0"):
        measured(np.zeros((1, 1)), np.zeros((1, 1), np.int64), [0])
