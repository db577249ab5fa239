"""A matrix in a few numbers, the same whatever the strips; and what its picture shows."""

from __future__ import annotations

import numpy as np
import pytest

from setwise_engine.matching import Kernel
from setwise_evaluation.rsm import _rsm, heat_map, rsm, summarise
from setwise_evaluation.rsm._summary import picture

SETS = np.random.default_rng(1).standard_normal((23, 4, 3)).astype(np.float32)


@pytest.mark.parametrize("strip", [1, 50, 10_000])
@pytest.mark.parametrize("kernel", ["cosine", "inner_product", "rbf"])
def test_the_numbers_are_those_of_the_pairs(kernel: str, strip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rsm, "_STRIP_NUMBERS", strip)
    matrix = rsm(SETS)
    pairs = matrix.read(kernel)[np.triu_indices(23, 1)]
    found = summarise(matrix, kernel)
    assert (found.kernel, found.pairs) == (kernel, 253)
    assert found.sigma == (matrix.median_sigma() if kernel == "rbf" else None)
    expected = [pairs.mean(), pairs.std(), pairs.min(), pairs.max()]
    np.testing.assert_allclose([found.mean, found.spread, found.least, found.most], expected)


def test_one_image_has_no_pairs() -> None:
    found = summarise(rsm(SETS[:1]), "cosine")
    assert found.pairs == 0
    assert np.isnan(found.mean)


@pytest.mark.parametrize("most", [4, 10, 23])
def test_a_picture_holds_the_means_of_squares(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rsm, "_STRIP_NUMBERS", 100)
    matrix = rsm(SETS, SETS[:10])
    seen = picture(matrix, "cosine", most=most)
    values, side = matrix.read("cosine"), seen.side
    expected = [[values[i : i + side, j : j + side].mean() for j in range(0, 10, side)] for i in range(0, 23, side)]
    np.testing.assert_allclose(seen.values, expected)
    assert len(seen.values) <= most
    assert (seen.low, seen.high) == (seen.values.min(), seen.values.max())


def test_the_figure_says_what_it_leaves_out() -> None:
    matrix = rsm(SETS, row_ids=[f"folder/{i}.jpg" for i in range(23)])
    figure, caption = heat_map(matrix)
    panel, bar = figure.axes
    assert (panel.get_xlabel(), bar.get_ylabel()) == ("image", "cosine similarity")
    assert panel.get_yticklabels()[3].get_text() == "folder/3.jpg"
    assert panel.get_yticks()[3] == 3
    assert list(panel.images[0].get_extent()) == [-0.5, 22.5, 22.5, -0.5]
    assert "the diagonal may lie above" in caption
    many, caption = heat_map(rsm(np.repeat(SETS, 30, axis=0)[:, :1]), Kernel.RBF, 2.0, names=("this", "that"))
    assert many.axes[0].get_xlabel() == "image of that (number, from 0)"
    assert many.axes[1].get_ylabel() == "RBF similarity, sigma 2"
    assert "Each point is the mean of 2 x 2 pairs." in caption
