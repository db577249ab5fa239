"""The figure says what it shows, also where there is next to nothing to show."""

from __future__ import annotations

import pytest

from setwise_engine.collection import Collection
from setwise_evaluation.experiments.recall import recall_study
from setwise_evaluation.experiments.recall._figure import figure_of


@pytest.mark.parametrize("counts", [[5], [5, 10, 30, 60]])
def test_axes_are_named_and_have_ticks(collection: Collection, counts: list[int]) -> None:
    study = recall_study(collection, k=5, counts=counts, sample=4, resamples=50)
    figure = figure_of(study)
    left, right = figure.axes
    assert left.get_xlabel() == "candidates K (images recalled)"
    assert right.get_xlabel() == "nominal time of a query (ms)"
    for panel in (left, right):
        assert panel.get_ylabel() == "share of the exact top 5 recalled"
        low, high = panel.get_xlim()
        assert sum(low <= tick <= high for tick in panel.get_xticks()) >= 2
    [legend] = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["sqrtcov16", "mean", "wanted recall", "advised" if study.advice.cheapest else "nearest"]
