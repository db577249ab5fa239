"""What is to be written is checked before it can hold up what others write in the same commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from setwise_engine.collection import Collection, ImageRecord, Outcome, Put
from setwise_engine.errors import InvalidInput
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize

Make = Callable[..., ImageRecord]


@pytest.mark.parametrize("size", [ImageSize(1 << 31, 480), ImageSize(640, (1 << 32) - 1), ImageSize(-1, -1)])
def test_a_size_that_a_segment_cannot_hold_is_the_fault_of_its_image_alone(
    collection: Collection, make: Make, size: ImageSize
) -> None:
    bad = make("bad")
    bad = replace(bad, features=replace(bad.features, image_size=size))
    good, wrong = collection.write([Put(make("good")), Put(bad)]).results
    assert good is Outcome.INSERTED
    assert isinstance(wrong, InvalidInput)
    assert wrong.field == "image_size"


def test_the_grid_of_an_empty_set_may_have_any_side_that_a_segment_holds(collection: Collection, make: Make) -> None:
    def empty(id: str, grid: Grid) -> Put:
        features = make(id).features
        return Put(
            ImageRecord(id, FeatureSet(np.zeros((0, 8), np.float16), features.stage, "", features.encoder, grid))
        )

    good, wrong = collection.write([empty("a", Grid(0, 7)), empty("b", Grid(0, 1 << 31))]).results
    assert good is Outcome.INSERTED
    assert isinstance(wrong, InvalidInput)
    assert wrong.field == "grid"
    assert collection.verify().problems == []
