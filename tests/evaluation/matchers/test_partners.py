"""The approximations by their definitions: slow twins, valid matchings, never above the optimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from setwise_engine.errors import InvalidInput
from setwise_engine.matching import TokenSets
from setwise_evaluation.matchers import Matching, MatchingOptions, by_norm, partners

ONE_TO_ONE = [
    Matching.EXACT,
    Matching.GREEDY,
    Matching.TOPK_GREEDY,
    Matching.BATCH_OPTIMAL,
    Matching.SINKHORN,
]

every_matching = pytest.mark.parametrize("matching", ONE_TO_ONE)
tokens = st.integers(1, 12)
seeds = st.integers(0, 2**32 - 1)


def affinity(seed: int, n: int, m: int) -> NDArray[np.float64]:
    """Affinities of tokens by falling norm, some tokens with much larger norms than others."""
    rng = np.random.default_rng(seed)
    q, x = by_norm(TokenSets([rng.normal(size=(count, 5)) * rng.exponential(size=(count, 1)) for count in (n, m)]))
    return q.astype(np.float64) @ x.T


def value(A: NDArray[np.float64], columns: NDArray[np.int32]) -> float:
    rows = np.flatnonzero(columns >= 0)
    return float(A[rows, columns[rows]].sum())


def optimum(A: NDArray[np.float64]) -> float:
    return float(A[linear_sum_assignment(A, maximize=True)].sum())


def slow_greedy(A: NDArray[np.float64]) -> float:
    rest, total = A.copy(), 0.0
    for _ in range(min(A.shape)):
        i, j = np.unravel_index(rest.argmax(), rest.shape)
        total += A[i, j]
        rest[i, :] = rest[:, j] = -np.inf
    return total


def slow_topk_greedy(A: NDArray[np.float64], top: int) -> float:
    """The `top` largest tokens of each side among themselves, optimally, then the rest among themselves, greedily."""
    if min(A.shape) <= top:
        return optimum(A)
    return optimum(A[:top, :top]) + slow_greedy(A[top:, top:])


def slow_batch_optimal(A: NDArray[np.float64], window: int) -> float:
    """Window k of one side with window k of the other."""
    return sum(optimum(A[k : k + window, k : k + window]) for k in range(0, min(A.shape), window))


@every_matching
@given(seed=seeds, n=tokens, m=tokens, size=st.integers(1, 14))
def test_a_matching_pairs_each_token_once_and_is_worth_no_more_than_the_best(
    matching: Matching, seed: int, n: int, m: int, size: int
) -> None:
    A = affinity(seed, n, m)
    [columns] = partners(matching, [A], options=MatchingOptions(window=size, top=size))
    matched = columns[columns >= 0].tolist()
    assert len(columns) == n
    assert len(matched) == len(set(matched)) == min(n, m)
    assert value(A, columns) <= optimum(A) + 1e-9 * np.abs(A).sum()


@given(seed=seeds, n=tokens, m=tokens, size=st.integers(1, 14))
def test_values_are_those_of_the_slow_twins(seed: int, n: int, m: int, size: int) -> None:
    A = affinity(seed, n, m)
    options = MatchingOptions(window=size, top=size)
    twins = {
        Matching.EXACT: optimum(A),
        Matching.GREEDY: slow_greedy(A),
        Matching.TOPK_GREEDY: slow_topk_greedy(A, size),
        Matching.BATCH_OPTIMAL: slow_batch_optimal(A, size),
    }
    for matching, wanted in twins.items():
        [columns] = partners(matching, [A], options=options)
        assert value(A, columns) == pytest.approx(wanted, abs=1e-9 * np.abs(A).sum())


@given(seed=seeds, n=tokens, m=tokens)
def test_windows_and_tops_that_hold_everything_give_the_optimum(seed: int, n: int, m: int) -> None:
    A = affinity(seed, n, m)
    for options in (MatchingOptions(window=max(n, m)), MatchingOptions(top=min(n, m), window=1000)):
        for matching in (Matching.BATCH_OPTIMAL, Matching.TOPK_GREEDY):
            [columns] = partners(matching, [A], options=options)
            assert value(A, columns) == pytest.approx(optimum(A), abs=1e-9 * np.abs(A).sum())


@every_matching
def test_many_matrices_of_any_sizes_are_matched_as_one_by_one_on_any_number_of_threads(matching: Matching) -> None:
    problems = [affinity(seed, n, m) for seed, (n, m) in enumerate([(0, 3), (3, 0), (1, 1), (9, 4), (4, 9), (30, 30)])]
    options = MatchingOptions(window=8, top=8)
    together = partners(matching, problems, options=options, threads=2)
    for A, columns in zip(problems, together, strict=True):
        [alone] = partners(matching, [A], options=options)
        assert columns.tolist() == alone.tolist()
    assert partners(matching, []) == []


@every_matching
def test_whoever_stands_where_does_not_matter(matching: Matching) -> None:
    rng = np.random.default_rng(1)
    sets = [rng.normal(size=(40, 8)) * rng.exponential(size=(40, 1)) for _ in range(2)]
    shuffled = [one[rng.permutation(40)] for one in sets]
    values = []
    for q, x in (by_norm(TokenSets(sets)), by_norm(TokenSets(shuffled))):
        A = q.astype(np.float64) @ x.T
        [columns] = partners(matching, [A], options=MatchingOptions(window=16, top=16))
        values.append(value(A, columns))
    assert values[0] == pytest.approx(values[1])


def test_norms_fall_and_equal_ones_keep_their_order() -> None:
    [one, empty] = by_norm(TokenSets([np.array([[0.0, 1.0], [3.0, 4.0], [1.0, 0.0], [0.0, -5.0]]), np.zeros((0, 2))]))
    assert one.tolist() == [[3.0, 4.0], [0.0, -5.0], [0.0, 1.0], [1.0, 0.0]]
    assert len(empty) == 0


@pytest.mark.parametrize("matching", [Matching.NONE, Matching.MAXSIM, Matching.CHAMFER])
def test_what_is_no_matching_one_to_one_is_refused(matching: Matching) -> None:
    with pytest.raises(InvalidInput, match=f"{matching} pairs no tokens one to one"):
        partners(matching, [np.eye(2)])


def test_unknown_names_and_impossible_options_are_refused() -> None:
    with pytest.raises(InvalidInput, match="matching is 'best'; ask for one of exact, none, greedy, topk-greedy"):
        partners("best", [np.eye(2)])
    for field in ("window", "top", "iterations"):
        with pytest.raises(InvalidInput, match=f"{field} is 0; give at least 1"):
            MatchingOptions(**{field: 0})
        with pytest.raises(InvalidInput, match=rf"{field} is 2\.5; give a whole number"):
            MatchingOptions(**{field: 2.5})
        assert getattr(MatchingOptions(**{field: np.int64(3)}), field) == 3
    with pytest.raises(InvalidInput, match="regularisation is '1'; give a positive number"):
        MatchingOptions(regularisation="1")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"regularisation is 0\.0; give a positive number"):
        MatchingOptions(regularisation=0.0)
