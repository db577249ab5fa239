"""A proof is accepted only when it proves."""

from dataclasses import replace

import numpy as np
import pytest
from families import FAMILIES, matrix
from hypothesis import assume, given
from hypothesis import strategies as st

from setwise_engine.errors import InvalidInput
from setwise_engine.matching import Assignment, assign, verify
from setwise_engine.matching._paths import available, use

SHAPES = [(5, 5), (4, 7), (7, 4)]
SCALES = [1e-8, 1.0, 1e8]


def solved(shape: tuple[int, int], scale: float = 1.0) -> tuple[np.ndarray, Assignment]:
    A = scale * np.random.default_rng(sum(shape)).standard_normal(shape)
    return A, assign(A)


def bumped(prices: np.ndarray, at: int, by: float) -> np.ndarray:
    return prices + by * (np.arange(len(prices)) == at)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("by", [-0.01, 0.01])
def test_a_forged_price_is_caught_at_every_scale(shape: tuple[int, int], scale: float, at: int, by: float) -> None:
    A, a = solved(shape, scale)
    for forged in (
        replace(a, row_prices=bumped(a.row_prices, at, by * scale)),
        replace(a, column_prices=bumped(a.column_prices, at, by * scale)),
    ):
        with pytest.raises(InvalidInput):
            verify(A, forged)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", SCALES)
def test_a_forged_value_or_gap_is_caught(shape: tuple[int, int], scale: float) -> None:
    A, a = solved(shape, scale)
    with pytest.raises(InvalidInput, match="worth"):
        verify(A, replace(a, value=a.value + 0.01 * scale))
    with pytest.raises(InvalidInput, match="gap"):
        verify(A, replace(a, gap=0.01 * scale))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_worse_matching_is_caught_even_with_an_honest_value_and_gap(shape: tuple[int, int]) -> None:
    A, a = solved(shape)
    swapped = a.columns[np.r_[1, 0, 2 : len(a.columns)]]
    value = A[a.rows, swapped].sum()
    forged = replace(a, columns=swapped, value=value, gap=a.row_prices.sum() + a.column_prices.sum() - value)
    with pytest.raises(InvalidInput, match="better matching may exist"):
        verify(A, forged)


@pytest.mark.parametrize("path", available())
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", [(8, 8), (5, 9), (9, 5)])
def test_no_path_s_proof_can_be_bent(path: str, family: str, shape: tuple[int, int]) -> None:
    """One number is changed, and the gap with it, so that nothing but the proof itself can tell."""
    A = matrix(family, 5, *shape)
    with use(path):
        a = assign(A)
    scale = np.abs(A).max()
    rng = np.random.default_rng(6)
    for sign in (-1e-6, 1e-6):
        by = sign * scale
        at = int(rng.integers(min(shape)))
        forged = [
            replace(a, row_prices=bumped(a.row_prices, at, by), gap=a.gap + by),
            replace(a, column_prices=bumped(a.column_prices, at, by), gap=a.gap + by),
            replace(a, value=a.value + by, gap=a.gap - by),
        ]
        for one in forged if by else []:
            with pytest.raises(InvalidInput):
                verify(A, one)
    verify(A, a)


@pytest.mark.parametrize("family", FAMILIES)
def test_another_matrix_of_the_family_is_not_proven(family: str) -> None:
    A, other = (matrix(family, seed, 12, 15) for seed in (1, 2))
    apart = np.abs(A - other).max() > 1e-9 * np.abs(A).max()
    a = assign(A)
    if apart and abs(assign(other).value - a.value) > 1e-9 * np.abs(A).max():
        with pytest.raises(InvalidInput):
            verify(other, a)


@given(st.integers(0, 2**32 - 1), st.sampled_from(SHAPES), st.floats(1.0, 1e30))
def test_huge_prices_buy_no_leniency(seed: int, shape: tuple[int, int], size: float) -> None:
    rng = np.random.default_rng(seed)
    A, a = solved(shape)
    u, v = rng.standard_normal(shape[0]) * size, rng.standard_normal(shape[1]) * size
    assume(not np.array_equal(u, a.row_prices))
    with pytest.raises(InvalidInput):
        verify(A, replace(a, row_prices=u, column_prices=v))


def test_signs_are_free_only_in_the_square_case() -> None:
    A, a = solved((5, 5))
    verify(A, replace(a, row_prices=a.row_prices + 0.5, column_prices=a.column_prices - 0.5))
    A, a = solved((4, 7))
    with pytest.raises(InvalidInput, match="negative price"):
        verify(A, replace(a, row_prices=a.row_prices + 0.5, column_prices=a.column_prices - 0.5))
    A, a = solved((7, 4))
    with pytest.raises(InvalidInput, match="unmatched but has a price"):
        verify(A, replace(a, row_prices=a.row_prices + 0.5, column_prices=a.column_prices - 0.5))


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ([0, 0, 1], "twice"),
        ([0, 1, 9], "outside"),
        ([0, 1, -1], "outside"),
        ([0, 1], "must be 3"),
        ([0.0, 1.0, 2.0], "integers"),
    ],
)
def test_what_is_no_matching_is_caught(columns: list[float], complaint: str) -> None:
    A, a = solved((3, 4))
    with pytest.raises(InvalidInput, match=complaint):
        verify(A, replace(a, columns=np.array(columns)))


def test_prices_of_the_wrong_shape_or_not_finite_are_caught() -> None:
    A, a = solved((3, 4))
    with pytest.raises(InvalidInput, match=r"row prices must be 3 .* not float64 of shape"):
        verify(A, replace(a, row_prices=a.row_prices[:2]))
    with pytest.raises(InvalidInput, match=r"column prices must be 4 .* not list"):
        verify(A, replace(a, column_prices=a.column_prices.tolist()))
    with pytest.raises(InvalidInput, match="NaN"):
        verify(A, replace(a, row_prices=np.full(3, np.nan)))
    with pytest.raises(InvalidInput, match="row price is NaN or beyond"):
        verify(A, replace(a, row_prices=np.full(3, -1e308)))
    with pytest.raises(InvalidInput, match="value is nan"):
        verify(A, replace(a, value=np.nan))


def test_a_tolerance_of_ones_own_admits_prices_of_lower_precision() -> None:
    A, a = solved((5, 5))
    coarse = replace(a, row_prices=a.row_prices.astype(np.float32).astype(float))
    with pytest.raises(InvalidInput):
        verify(A, coarse)
    verify(A, coarse, tolerance=1e-6)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_the_empty_matching_is_proven(shape: tuple[int, int]) -> None:
    A = np.zeros(shape)
    verify(A, assign(A))
    assert assign(A).value == 0.0
