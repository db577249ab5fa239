"""What is taken for an RSM, and what is refused with which words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from setwise_engine.errors import InvalidInput
from setwise_evaluation.compare import correlate
from setwise_evaluation.compare._inputs import as_rsm, as_rsms, off_diagonal, unit
from setwise_evaluation.rsm import rsm


class Named(SimpleNamespace):
    """What an Rsm is to this package: an array, and ids."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.values, dtype=dtype)


def test_entries_above_the_diagonal_row_by_row() -> None:
    matrix = np.array([[0.0, 1, 2], [1, 0, 3], [2, 3, 0]])
    assert off_diagonal(matrix).tolist() == [1, 2, 3]


def test_rounding_of_other_tools_is_made_symmetric() -> None:
    matrix = np.eye(3) + 0.5
    matrix[0, 1] += 1e-7
    checked = as_rsm(matrix)
    assert np.array_equal(checked, checked.T)


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (np.zeros((3, 4)), r"b has shape \(3, 4\); give a square RSM"),
        (np.zeros(9), r"b has shape \(9,\)"),
        (np.eye(2), "b has 2 images; this needs at least 3"),
        (np.array([[1, 2, 3], [2, 1, np.nan], [3, np.nan, 1]]), r"b\[1, 2\] is nan"),
        (np.array([[1, 2, 3], [2, 1, 5], [3, 4, 1.0]]), r"b is not symmetric: \[1, 2\] and \[2, 1\] differ by 1"),
        (np.eye(4), "b is over 4 images and a over 3"),
        ([["x"] * 3] * 3, "b is no matrix of numbers"),
        (np.full((3, 3), 0.7), "b is constant"),
    ],
)
def test_what_cannot_be_compared_is_named(matrix: Any, words: str) -> None:
    good = np.array([[1.0, 0.2, 0.3], [0.2, 1, 0.4], [0.3, 0.4, 1]])
    with pytest.raises(InvalidInput, match=words) as raised:
        correlate(good, matrix)
    assert raised.value.field == "b"


def test_rsms_of_other_images_are_refused() -> None:
    values = np.array([[1.0, 0.2, 0.3], [0.2, 1, 0.4], [0.3, 0.4, 1]])
    one = Named(values=values, row_ids=("cat", "dog", "owl"))
    other = Named(values=values, row_ids=("cat", "owl", "dog"))
    assert correlate(one, values) == pytest.approx(1.0)
    with pytest.raises(InvalidInput, match="image 1 is 'dog' in a and 'owl' in b"):
        correlate(one, other)
    unnamed = Named(values=values, row_ids=None)
    assert len(as_rsms((unnamed, other), ("a", "b"))) == 2


def test_an_rsm_is_read_in_its_own_kernel() -> None:
    activations = np.random.default_rng(0).standard_normal((5, 4, 3))
    matrix = rsm(activations, kernel="inner_product")
    assert np.array_equal(as_rsm(matrix), matrix.sums)
    assert correlate(matrix, matrix.read("cosine")) == pytest.approx(correlate(matrix.sums, matrix.read("cosine")))
    with pytest.raises(InvalidInput, match=r"a has shape \(5, 3\)"):
        correlate(rsm(activations, activations[:3]), matrix)
    with pytest.raises(InvalidInput, match=r"a is not symmetric.*chamfer in place of maxsim"):
        correlate(rsm(activations, matching="maxsim"), matrix)


def test_very_small_numbers_keep_their_direction() -> None:
    assert unit(np.array([3e-200, 4e-200]), "tiny", scale=4e-200) == pytest.approx([0.6, 0.8])
