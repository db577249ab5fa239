"""Tiles of matched sums: the values of each matching, and gaps that never say less than what is missed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_engine.matching import TokenSets
from setwise_evaluation.matchers import Matching, MatchingOptions, _tile, by_norm, matched_tile, partners

CERTIFIED = [Matching.EXACT, Matching.GREEDY, Matching.TOPK_GREEDY, Matching.BATCH_OPTIMAL, Matching.SINKHORN]
BARE = [Matching.NONE, Matching.MAXSIM, Matching.CHAMFER]
OPTIONS = MatchingOptions(window=6, top=6)

sizes = st.lists(st.integers(0, 15), min_size=1, max_size=4)


def token_sets(seed: int, counts: list[int]) -> TokenSets:
    rng = np.random.default_rng([seed, *counts])
    return TokenSets([rng.normal(size=(n, 6)) * rng.exponential(size=(n, 1)) for n in counts])


def products(q: NDArray[np.float32], x: NDArray[np.float32]) -> NDArray[np.float64]:
    return q.astype(np.float64) @ x.astype(np.float64).T


@pytest.mark.parametrize("matching", CERTIFIED)
@settings(max_examples=25)
@given(seed=st.integers(0, 999), left=sizes, right=sizes)
def test_value_and_gap_hold_the_optimum_between_them(
    matching: Matching, seed: int, left: list[int], right: list[int]
) -> None:
    a, b = token_sets(seed, left), token_sets(seed + 1, right)
    exact = matched_tile("exact", a, b)
    tile = matched_tile(matching, a, b, options=OPTIONS)
    rounding = 1e-9 * np.sqrt(np.outer(a.squares, b.squares))
    assert (tile.values <= exact.values + exact.gaps + rounding).all()
    assert (exact.values <= tile.values + tile.gaps + rounding).all()


@pytest.mark.parametrize("matching", CERTIFIED[1:])
def test_values_are_sums_in_float64_over_the_partners(matching: Matching) -> None:
    a, b = by_norm(token_sets(1, [20, 7])), by_norm(token_sets(2, [9, 20, 1]))
    tile = matched_tile(matching, a, b, options=OPTIONS)
    for i, q in enumerate(a):
        for j, x in enumerate(b):
            [columns] = partners(matching, [q @ x.T], options=OPTIONS)
            rows = np.flatnonzero(columns >= 0)
            assert tile.values[i, j] == pytest.approx(products(q, x)[rows, columns[rows]].sum(), rel=1e-12)


@pytest.mark.parametrize("matching", [*CERTIFIED, Matching.NONE, Matching.CHAMFER])
def test_a_set_of_sets_with_itself_is_symmetric_to_the_bit(matching: Matching) -> None:
    a = token_sets(3, [12, 12, 12, 12])
    tile = matched_tile(matching, a, options=OPTIONS)
    assert np.array_equal(tile.values, tile.values.T)
    assert np.array_equal(tile.gaps, tile.gaps.T, equal_nan=True)
    if matching is not Matching.SINKHORN:  # which scales rows first
        assert tile.values == pytest.approx(matched_tile(matching, a, a, options=OPTIONS).values)


def test_an_approximation_finds_that_a_set_is_itself() -> None:
    a = token_sets(4, [15])
    for matching in CERTIFIED:
        assert matched_tile(matching, a, options=OPTIONS).values[0, 0] == pytest.approx(a.squares[0])


def test_the_same_positions_are_matched_and_sets_must_be_of_one_size() -> None:
    a, b = token_sets(5, [4, 4]), token_sets(6, [4, 4, 4])
    expected = [[np.trace(products(q, x)) for x in b] for q in a]
    assert matched_tile("none", a, b).values == pytest.approx(np.array(expected))
    with pytest.raises(InvalidInput, match="sets have from 4 to 5 tokens; matching none needs equal sizes"):
        matched_tile("none", a, token_sets(6, [4, 5]))


def test_maxsim_takes_the_best_partner_of_each_token_and_chamfer_both_ways() -> None:
    a, b = token_sets(7, [4, 9]), token_sets(8, [6, 2, 0])
    best = np.array([[products(q, x).max(axis=1).sum() if x.size else 0.0 for x in b] for q in a])
    back = np.array([[products(x, q).max(axis=1).sum() if x.size else 0.0 for x in b] for q in a])
    assert matched_tile("maxsim", a, b).values == pytest.approx(best, rel=1e-5)
    assert matched_tile("chamfer", a, b).values == pytest.approx((best + back) / 2, rel=1e-5)
    own = matched_tile("maxsim", a).values
    assert not np.allclose(own, own.T)


@pytest.mark.parametrize("matching", BARE)
def test_what_bounds_no_matching_has_no_gap(matching: Matching) -> None:
    assert np.isnan(matched_tile(matching, token_sets(9, [3, 3])).gaps).all()


@pytest.mark.parametrize("matching", [*CERTIFIED, *BARE])
def test_neither_threads_nor_the_size_of_a_portion_change_anything(
    matching: Matching, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = token_sets(10, [8, 8, 8]), token_sets(11, [8, 8, 8, 8])
    tile = matched_tile(matching, a, b, options=OPTIONS, threads=2)
    monkeypatch.setattr(_tile, "_ENTRIES", 1)
    other = matched_tile(matching, a, b, options=OPTIONS)
    assert other.values == pytest.approx(tile.values, rel=1e-12)
    assert other.gaps == pytest.approx(tile.gaps, rel=1e-4, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize("matching", [Matching.GREEDY, Matching.MAXSIM])
def test_the_caller_may_stop_it(matching: Matching) -> None:
    def enough() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        matched_tile(matching, token_sets(12, [3, 3]), check=enough)
