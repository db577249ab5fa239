"""Maps of layers against layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_evaluation.compare import Measure, cka, compare_layers, correlate

Matrix = NDArray[np.float64]
Layers = dict[str, Matrix]


@pytest.fixture
def ours(linear: Callable[..., Matrix]) -> Layers:
    return {"early": linear(0), "middle": linear(0) + linear(1), "late": linear(1)}


@pytest.fixture
def theirs(linear: Callable[..., Matrix]) -> Layers:
    return {"stem": linear(0) + 0.3 * linear(5), "head": linear(1) + 0.3 * linear(6)}


@pytest.mark.parametrize("measure", get_args(Measure))
def test_every_pair_as_the_functions_give_it(ours: Layers, theirs: Layers, measure: Measure) -> None:
    found = compare_layers(ours, theirs, measure=measure)
    assert (found.rows, found.columns) == (("early", "middle", "late"), ("stem", "head"))
    for i, one in enumerate(ours.values()):
        for j, other in enumerate(theirs.values()):
            if "cka" in measure:
                expected = cka(one, other, debiased=measure == "debiased-cka")
            else:
                expected = correlate(one, other, method=measure)  # type: ignore[arg-type]
            assert found.values[i, j] == pytest.approx(expected, abs=1e-12)
    assert found.best() == {"early": "stem", "middle": found.best()["middle"], "late": "head"}


def test_one_model_with_itself(ours: Layers) -> None:
    found = compare_layers(ours)
    assert np.diag(found.values) == pytest.approx(1.0)
    assert np.array_equal(found.values, found.values.T)
    assert found.best() == {name: name for name in ours}


def test_the_wrong_layer_is_named(ours: Layers, theirs: Layers) -> None:
    with pytest.raises(InvalidInput, match="head is constant"):
        compare_layers(ours, {**theirs, "head": np.ones((12, 12))})
    with pytest.raises(InvalidInput, match="measure is 'cosine'; choose one of cka, debiased-cka"):
        compare_layers(ours, measure="cosine")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="there are no layers"):
        compare_layers(ours, {})
