"""The Jensen-Shannon divergence in bits, against its definition and scipy's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon

from setwise_engine.errors import InvalidInput
from setwise_evaluation.divergence import jensen_shannon, jensen_shannon_matrix

Floats = NDArray[np.float64]


def by_definition(p: Floats, q: Floats) -> float:
    """Half the relative entropy of p to the middle plus half that of q, class by class."""
    total = 0.0
    for a, b in zip(p.tolist(), q.tolist(), strict=True):
        middle = (a + b) / 2
        total += a / 2 * math.log2(a / middle) if a else 0.0
        total += b / 2 * math.log2(b / middle) if b else 0.0
    return total


@st.composite
def distributions(draw: Any, rows: int = 2) -> Floats:
    """Rows that sum to 1, often with zeros."""
    classes = draw(st.integers(1, 6))
    weights = draw(arrays(np.float64, (rows, classes), elements=st.one_of(st.just(0.0), st.floats(1e-9, 1.0))))
    weights[:, draw(st.integers(0, classes - 1))] += 1e-3
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@given(distributions())
def test_it_is_what_the_definition_and_scipy_say(rows: Floats) -> None:
    p, q = rows
    assert jensen_shannon(p, q) == pytest.approx(by_definition(p, q), abs=1e-14)
    assert math.sqrt(jensen_shannon(p, q)) == pytest.approx(jensenshannon(p, q, base=2), abs=1e-7)


@given(distributions(), st.permutations(range(6)))
def test_bounds_symmetry_and_order_of_classes(rows: Floats, order: list[int]) -> None:
    p, q = rows
    found = jensen_shannon(p, q)
    assert 0.0 <= found <= 1.0
    assert found == jensen_shannon(q, p)
    assert jensen_shannon(p, p) == 0.0
    shuffled = [index for index in order if index < len(p)]
    assert jensen_shannon(p[shuffled], q[shuffled]) == pytest.approx(float(found), abs=1e-14)


@given(distributions())
def test_it_is_zero_only_for_equals(rows: Floats) -> None:
    p, q = rows
    assert (jensen_shannon(p, q) == 0.0) == np.array_equal(p, q)


@given(distributions(rows=3))
def test_its_root_is_a_metric(rows: Floats) -> None:
    a, b, c = (math.sqrt(jensen_shannon(rows[i], rows[j])) for i, j in [(0, 1), (1, 2), (0, 2)])
    assert c <= a + b + 1e-9


def test_it_is_one_for_predictions_that_share_no_class() -> None:
    assert jensen_shannon([0.25, 0.75, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]) == 1.0


@pytest.mark.parametrize("step", [1e-3, 1e-9, 1e-15])
def test_near_neighbours_keep_their_digits(step: float) -> None:
    """For p = (1/2 + e, 1/2 - e) and its mirror image the series gives 2 e^2 / ln 2 (1 + 2 e^2 / 3 + ...)."""
    p = np.array([0.5 + step, 0.5 - step])
    exact = (p[0] - p[1]) / 2
    expected = 2 * exact**2 / math.log(2) * (1 + 2 * exact**2 / 3)
    assert jensen_shannon(p, p[::-1]) == pytest.approx(expected, rel=1e-10)


def test_shapes_broadcast() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(5), (3, 4))
    assert jensen_shannon(p, p[0, 0]).shape == (3, 4)
    assert jensen_shannon(p[:, None], p[None]).shape == (3, 3, 4)


@given(distributions(rows=4))
def test_the_matrix_is_the_divergence_of_every_two(rows: Floats) -> None:
    np.testing.assert_allclose(jensen_shannon_matrix(rows), jensen_shannon(rows[:, None], rows[None]), atol=1e-14)


def test_the_matrix_of_many_classes_goes_by_blocks_and_tells_its_progress() -> None:
    rows = np.random.default_rng(0).dirichlet(np.full(40_000, 0.1), 5)
    told: list[tuple[int, int]] = []
    found = jensen_shannon_matrix(rows, progress=lambda done, total: told.append((done, total)))
    np.testing.assert_allclose(found, jensen_shannon(rows[:, None], rows[None]), atol=1e-14)
    assert (found == found.T).all()
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize(
    ("p", "q", "words"),
    [
        ([0.5, 0.5], [1.0], "p has 2 classes and q 1"),
        ([0.5, 0.6], [1.0, 0.0], "p has a distribution that sums to 1.1"),
        ([1.5, -0.5], [1.0, 0.0], "p has numbers that are negative or missing"),
        ([0.5, 0.5], [np.nan, 0.5], "q has numbers that are negative or missing"),
        ([], [], "give distributions over at least one class"),
    ],
)
def test_what_is_no_distribution_is_refused(p: list[float], q: list[float], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        jensen_shannon(p, q)


def test_a_matrix_is_made_of_rows() -> None:
    with pytest.raises(InvalidInput, match=r"shape \(2,\); give \(images, classes\)"):
        jensen_shannon_matrix([0.5, 0.5])
