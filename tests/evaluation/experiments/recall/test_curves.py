"""What a setting recalls, summarised, and its nominal time."""

from __future__ import annotations

import numpy as np
import pytest

from setwise_evaluation.experiments.recall import Setting
from setwise_evaluation.experiments.recall._curves import make_curve, nominal_ms
from setwise_evaluation.experiments.recall._types import Draws
from setwise_evaluation.retrieval import bootstrap


def test_a_curve_summarises_what_was_found() -> None:
    setting = Setting("mean", "Flat", False, 256, 2048.0)
    found = np.array([[1, 2], [0, 2], [2, 2]])
    curve = make_curve(setting, found, [10, 20], k=2, images=1000, products=1e6, draws=Draws(1, 500), coarse_ms=0.1)
    assert [one.value for one in curve.recall] == [0.5, 1.0]
    assert [one.value for one in curve.complete] == pytest.approx([1 / 3, 1.0])
    assert curve.worst == (0.0, 1.0)
    slow = bootstrap(np.array([0.5, 0.0, 1.0]), seed=1, resamples=500)
    assert (curve.recall[0].low, curve.recall[0].high) == pytest.approx((slow.low, slow.high))
    assert curve.recall[1].low == 1.0


def test_the_nominal_time_counts_scored_vectors_and_candidates() -> None:
    flat = Setting("mean", "Flat", False, 4000, 0.0)
    assert nominal_ms(flat, 0, images=1000, products=5e6) == pytest.approx(1.0)
    assert nominal_ms(flat, 10, images=1000, products=5e6) == pytest.approx(2.0)
    lists = Setting("mean", "IVF100,SQ8", False, 4000, 0.0, lists=100, probes=32)
    assert lists.scored(1000) == 100 + 320
    assert nominal_ms(lists, 0, images=1000, products=5e6) == pytest.approx(0.42)
