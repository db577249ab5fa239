"""CKA: its textbook forms, its invariances, and what is left of it for kernels that are none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from setwise_engine.errors import InvalidInput
from setwise_evaluation.compare import cka, clip_negative, definiteness

Matrix = NDArray[np.float64]


def hsic_biased(k: Matrix, l: Matrix) -> float:  # noqa: E741
    """Kornblith et al. 2019, eq. 3, written out."""
    n = len(k)
    h = np.eye(n) - np.ones((n, n)) / n
    return float(np.trace(k @ h @ l @ h)) / (n - 1) ** 2


def hsic_unbiased(k: Matrix, l: Matrix) -> float:  # noqa: E741
    """Song et al. 2012, eq. 5, and Nguyen et al. 2021, eq. 3, written out."""
    n, ones = len(k), np.ones(len(k))
    k, l = (matrix - np.diag(np.diag(matrix)) for matrix in (k, l))  # noqa: E741
    sums = (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2))
    return float(np.trace(k @ l) + sums - 2 / (n - 2) * (ones @ k @ l @ ones)) / (n * (n - 3))


def features(seed: int, n: int, d: int) -> Matrix:
    return np.random.default_rng(seed).standard_normal((n, d))


def semantic(sets: Matrix) -> Matrix:
    """Matched sums (n, n) of sets (n, tokens, d)."""

    def matched(one: Matrix, other: Matrix) -> float:
        affinity = one @ other.T
        return float(affinity[linear_sum_assignment(affinity, maximize=True)].sum())

    return np.array([[matched(one, other) for other in sets] for one in sets])


@given(st.integers(0, 10_000), st.integers(4, 12), st.booleans())
def test_the_ratio_of_hsics(seed: int, n: int, debiased: bool) -> None:
    k, l = (features(seed + place, n, 3) @ features(seed + place, n, 3).T for place in (0, 1))  # noqa: E741
    hsic = hsic_unbiased if debiased else hsic_biased
    assert cka(k, l, debiased=debiased) == pytest.approx(hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l)), abs=1e-9)


@given(st.integers(0, 10_000), st.integers(3, 10))
def test_linear_kernels_have_a_form_in_features(seed: int, n: int) -> None:
    """Kornblith et al. 2019, section 3: |Y^T X|^2 / (|X^T X| |Y^T Y|) for centred features."""
    x, y = features(seed, n, 4), features(seed + 1, n, 6)
    found = cka(x @ x.T, y @ y.T)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    expected = np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    assert found == pytest.approx(expected)


@given(st.integers(0, 10_000), st.floats(0.01, 100), st.booleans())
def test_orthogonal_maps_scale_and_shift_change_nothing(seed: int, scale: float, debiased: bool) -> None:
    x, y = features(seed, 8, 5), features(seed + 1, 8, 5)
    turned = scale * x @ np.linalg.qr(features(seed + 2, 5, 5))[0] + features(seed + 3, 1, 5)
    there = cka(x @ x.T, y @ y.T, debiased=debiased)
    assert cka(turned @ turned.T, y @ y.T, debiased=debiased) == pytest.approx(there, abs=1e-9)
    assert cka(turned @ turned.T, x @ x.T, debiased=debiased) == pytest.approx(1.0)


def test_many_features_inflate_the_biased_form_only() -> None:
    """200 pairs of unrelated features, 500 numbers for 10 images: 0 within 3 standard errors when debiased."""
    kernels = [(x @ x.T, y @ y.T) for x, y in ((features(k, 10, 500), features(k + 1000, 10, 500)) for k in range(200))]
    debiased = np.array([cka(one, other, debiased=True) for one, other in kernels])
    assert abs(debiased.mean()) < 3 * debiased.std() / np.sqrt(200)
    assert np.mean([cka(*both) for both in kernels]) > 0.9


def test_the_debiased_form_does_not_read_the_diagonal(related: tuple[Matrix, Matrix]) -> None:
    a, b = related
    other = a + np.diag(np.arange(12.0))
    assert cka(a, b, debiased=True) == pytest.approx(cka(other, b, debiased=True))
    assert cka(a, b) != pytest.approx(cka(other, b))


@given(st.integers(0, 10_000), st.booleans())
def test_it_stays_within_minus_one_and_one_for_any_symmetric_matrix(seed: int, debiased: bool) -> None:
    a, b = (matrix + matrix.T for matrix in np.random.default_rng(seed).standard_normal((2, 6, 6)))
    assert -1 - 1e-12 <= cka(a, b, debiased=debiased) <= 1 + 1e-12
    assert cka(a, -a, debiased=debiased) == pytest.approx(-1.0)


def test_a_semantic_kernel_that_is_none() -> None:
    """Four sets of two corners of the unit square each (mathoverflow.net/a/353145, after Vert 2008): their matched
    inner products have a negative determinant."""
    corners = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    matched = semantic(corners[[[0, 1], [0, 2], [0, 3], [1, 2]]])
    assert matched.tolist() == [[1, 0, 1, 1], [0, 1, 1, 1], [1, 1, 2, 1], [1, 1, 1, 2]]
    assert np.linalg.det(matched) == pytest.approx(-1.0)


def test_two_dimensional_tokens_give_a_negative_share_and_one_dimensional_none() -> None:
    """In one dimension the best matching sorts, and <sort q, sort x> is an inner product."""
    rng = np.random.default_rng(5)
    flat = definiteness(semantic(rng.standard_normal((30, 4, 1))))
    plane = definiteness(semantic(rng.standard_normal((30, 4, 2))))
    assert flat.smallest > -1e-9
    assert flat.negative_share < 1e-12
    assert plane.smallest < -0.1
    assert 0.001 < plane.negative_share < 0.2
    assert "of the sum of sizes negative" in str(plane)


def test_a_negative_part_can_hide_dependence_and_clipping_shows_it(linear: Callable[..., Matrix]) -> None:
    """K = K+ - K- with L = K+ + K- : wholly dependent, biased CKA 0."""
    shapes = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 8)))[0]
    shapes -= shapes.mean(axis=0)
    one, other = np.linalg.qr(shapes[:, :2])[0].T
    positive, negative = np.outer(one, one), np.outer(other, other)
    k, l = positive - negative, positive + negative  # noqa: E741
    assert cka(k, l) == pytest.approx(0.0, abs=1e-12)
    assert definiteness(k).negative_share == pytest.approx(0.5)
    assert cka(clip_negative(k), clip_negative(l)) == pytest.approx(np.sqrt(0.5))
    assert clip_negative(linear(0)) @ np.ones(12) == pytest.approx(0.0, abs=1e-9)


def test_too_few_images_and_constants_are_named(linear: Callable[..., Matrix]) -> None:
    with pytest.raises(InvalidInput, match="l has 3 images; this needs at least 4"):
        cka(linear(0, n=4), linear(1, n=3), debiased=True)
    with pytest.raises(InvalidInput, match="k is constant"):
        cka(np.full((5, 5), 0.3), linear(0, n=5))
    with pytest.raises(InvalidInput, match="l is constant"):
        cka(linear(0, n=5), np.full((5, 5), 0.3) + np.eye(5), debiased=True)
