"""Greedy and Sinkhorn on every path: valid matchings, the greedy one by its definition, and bounds that hold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from families import FAMILIES, matrix
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_engine.matching import assign, assign_batch, greedy, greedy_batch, price_bounds, sinkhorn_batch, verify
from setwise_engine.matching._approximate_numpy import entropic_prices
from setwise_engine.matching._paths import available, use

SHAPES = [(0, 3), (3, 0), (1, 1), (1, 7), (7, 1), (5, 5), (6, 9), (9, 6), (17, 17), (40, 25), (25, 40), (49, 49)]

every_path = pytest.mark.parametrize("path", available())


def slow_greedy(A: NDArray[np.float64]) -> list[int]:
    """The definition: the largest entry of a free row and a free column, the first of equal ones, again and again."""
    columns = [-1] * A.shape[0]
    rest = A.astype(np.float64)
    for _ in range(min(A.shape)):
        i, j = divmod(int(rest.argmax()), A.shape[1])
        columns[i] = j
        rest[i, :] = rest[:, j] = -np.inf
    return columns


def is_matching(columns: NDArray[np.int32], shape: tuple[int, int]) -> bool:
    matched = columns[columns >= 0]
    return len(columns) == shape[0] and len(matched) == len(set(matched.tolist())) == min(shape)


@st.composite
def matrices(draw: st.DrawFn, square: bool = False) -> NDArray[np.float64]:
    """Few rows and columns; entries with ties, with signs, and of sizes far apart."""
    n = draw(st.integers(1, 8))
    m = n if square else draw(st.integers(1, 8))
    values = st.one_of(st.integers(-2, 2).map(float), st.floats(-1e3, 1e3, width=32))
    return np.array(draw(st.lists(values, min_size=n * m, max_size=n * m)), np.float64).reshape(n, m)


@every_path
@given(A=matrices())
def test_greedy_takes_the_largest_free_entry_each_time(path: str, A: NDArray[np.float64]) -> None:
    with use(path):
        for same in (A, A.astype(np.float32), np.asfortranarray(A)):
            [columns] = greedy_batch([same])
            assert columns.tolist() == slow_greedy(A)


@every_path
@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_of_every_family_is_the_same_on_every_path(path: str, family: str) -> None:
    problems = [matrix(family, 0, *shape) for shape in SHAPES]
    with use(path):
        found = greedy_batch(problems, threads=2)
    for A, columns in zip(problems, found, strict=True):
        assert columns.tolist() == slow_greedy(A)


@given(A=matrices())
def test_greedy_is_worth_half_of_the_optimum_when_nothing_is_negative(A: NDArray[np.float64]) -> None:
    A = np.abs(A)
    rows, columns = greedy(A)
    assert 2.0 * A[rows, columns].sum() >= assign(A).value - 1e-9


@every_path
@pytest.mark.parametrize("family", FAMILIES)
def test_sinkhorn_finds_a_matching_and_proves_how_far_from_the_best_it_can_be(path: str, family: str) -> None:
    problems = [matrix(family, 1, *shape) for shape in SHAPES]
    with use(path):
        solved = sinkhorn_batch(problems, threads=2)
        bounds = price_bounds(problems)
    for A, one, columns, best, bound in zip(
        problems, solved, solved.partners, assign_batch(problems).values, bounds, strict=True
    ):
        assert is_matching(columns, A.shape)
        assert one.value == pytest.approx(A[one.rows, one.columns].sum())
        rounding = 1e-12 * np.abs(A).sum()
        assert one.value <= best + rounding
        assert best <= one.value + one.gap
        assert best <= bound
        if A.size:  # prices are feasible: no entry pays more than its row and column cost, but for rounding
            assert (A - one.row_prices[:, None] - one.column_prices).max() <= 1e-12 * np.abs(A).max() + 1e-323


@every_path
@settings(max_examples=30)
@given(A=matrices(square=True), exponent=st.integers(-300, 250))
def test_a_power_of_two_changes_neither_the_matching_nor_the_relative_gap(
    path: str, A: NDArray[np.float64], exponent: int
) -> None:
    scaled = np.ldexp(A, exponent)
    with use(path):
        [one], [other] = sinkhorn_batch([A]), sinkhorn_batch([scaled])
    assert other.gap == pytest.approx(np.ldexp(one.gap, exponent), rel=1e-3, abs=np.ldexp(1e-4, exponent))
    assert other.value >= assign(scaled).value - other.gap


@every_path
def test_sinkhorn_comes_to_the_optimum_as_its_regularisation_goes_to_zero(path: str) -> None:
    A = np.random.default_rng(5).normal(size=(12, 12))
    best = assign(A).value
    with use(path):
        solved = [sinkhorn_batch([A], regularisation=eps, iterations=2000)[0] for eps in (1.0, 0.3, 0.1, 0.01)]
    above = [one.value + one.gap - best for one in solved]
    assert all(before > after for before, after in itertools.pairwise(above))
    assert solved[-1].value == pytest.approx(best)
    assert above[-1] < 1e-4 * best


def test_the_plan_has_rows_and_columns_of_sum_one() -> None:
    A = np.random.default_rng(4).normal(size=(6, 6))
    eps = 0.3 * (A.max(axis=1) - A.mean(axis=1)).mean()
    kernel = np.exp((A - entropic_prices(A, 0.3, 500)) / eps)
    plan = kernel / kernel.sum(axis=1, keepdims=True)
    assert plan.sum(axis=0) == pytest.approx(np.ones(6))


def test_native_prices_are_those_of_numpy_but_for_float32() -> None:
    A = np.random.default_rng(5).normal(size=(20, 20))
    bounds = []
    for path in available():
        with use(path):
            bounds.append(price_bounds([A], regularisation=0.1, iterations=23)[0])
    assert np.ptp(bounds) < 1e-3 * bounds[0]


@every_path
def test_half_precision_and_a_stack_are_taken_and_nothing_gives_nothing(path: str) -> None:
    stack = np.random.default_rng(6).integers(-9, 9, (3, 4, 5)).astype(np.float16)
    with use(path):
        assert [columns.tolist() for columns in greedy_batch(stack)] == [slow_greedy(one) for one in stack]
        assert len(sinkhorn_batch(stack)) == 3
        assert greedy_batch([]) == []
        assert len(sinkhorn_batch([])) == len(price_bounds([])) == 0


@every_path
@pytest.mark.parametrize("function", [greedy_batch, sinkhorn_batch, price_bounds])
def test_what_cannot_be_matched_is_refused_by_its_number(path: str, function: object) -> None:
    assert callable(function)
    with use(path):
        for bad in (np.nan, np.inf, 1e301):
            with pytest.raises(InvalidInput, match="matrix 1: the affinity"):
                function([np.eye(2), np.array([[bad, 0.0]])])
        with pytest.raises(InvalidInput, match="matrix 0: the affinity has shape"):
            function([np.zeros(3)])
        with pytest.raises(InvalidInput, match="affinities is int"):
            function(3)
        with pytest.raises(InvalidInput, match="threads is 0"):
            function([np.eye(2)], threads=0)


@pytest.mark.parametrize(("field", "value"), [("regularisation", 0.0), ("regularisation", np.nan), ("iterations", 0)])
def test_settings_that_make_no_plan_are_refused(field: str, value: float) -> None:
    with pytest.raises(InvalidInput, match=f"{field} is {value}"):
        sinkhorn_batch([np.eye(2)], **{field: value})


def test_an_optimal_matching_of_sinkhorn_passes_the_proof() -> None:
    A = np.array([[3.0, 1.0], [0.0, 2.0]])
    verify(A, sinkhorn_batch([A], regularisation=1e-3, iterations=2000)[0])
