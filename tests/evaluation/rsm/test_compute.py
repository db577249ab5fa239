"""The matrix is what a loop with scipy gives, whatever the tiles, and has the symmetries that the definition has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from setwise_engine.errors import FeatureError, InvalidInput
from setwise_engine.feature_set import FeatureSet, Grid
from setwise_evaluation.matchers import Matching, MatchingOptions
from setwise_evaluation.rsm import Rsm, _blocks, rsm

Sets = list[NDArray[np.float32]]

ONE_TO_ONE = [Matching.EXACT, Matching.GREEDY, Matching.TOPK_GREEDY, Matching.BATCH_OPTIMAL, Matching.SINKHORN]


def norms(sets: Sets) -> NDArray[np.float64]:
    return np.array([np.linalg.norm(one.astype(np.float64)) for one in sets])


def slow_sums(a: Sets, b: Sets) -> NDArray[np.float64]:
    """Every pair on its own, as the definition reads (design, section 1)."""
    sums = np.empty((len(a), len(b)))
    for i, q in enumerate(a):
        for j, x in enumerate(b):
            A = q.astype(np.float64) @ x.astype(np.float64).T
            sums[i, j] = A[linear_sum_assignment(A, maximize=True)].sum()
    return sums


def slow_kernel(kernel: str, L: float, q: float, x: float, sigma: float) -> float:
    """One number from a matched sum and two norms."""
    if kernel == "cosine":
        return min(max(L / (q * x), -1.0), 1.0) if q * x > 0 else 0.0
    return L if kernel == "inner_product" else float(np.exp(-max(0.0, q**2 + x**2 - 2 * L) / (2 * sigma**2)))


@st.composite
def collections_of_sets(draw: st.DrawFn) -> Sets:
    """One to seven sets of zero to six tokens of three numbers; some tokens are zero, some sets equal."""
    seed = draw(st.integers(0, 2**32 - 1))
    sizes = draw(st.lists(st.integers(0, 6), min_size=1, max_size=7))
    rng = np.random.default_rng(seed)
    sets = [rng.standard_normal((size, 3)).astype(np.float32) * rng.integers(0, 3, (size, 1)) for size in sizes]
    return [*sets, sets[0]] if draw(st.booleans()) else sets


def close(found: Rsm, expected: NDArray[np.float64], a: Sets, b: Sets) -> None:
    """Matched sums are right up to their gaps, which are of the size of rounding, and never too large."""
    unit = np.outer(norms(a), norms(b))
    assert found.gaps is not None
    assert (found.gaps <= 2e-6 * unit).all()
    assert (np.abs(found.sums - expected) <= found.gaps + 1e-9 * unit).all()


@pytest.mark.parametrize("kernel", ["cosine", "inner_product", "rbf"])
@settings(deadline=None, max_examples=30)
@given(sets=collections_of_sets(), tile=st.integers(1, 9), sigma=st.floats(0.1, 10))
def test_it_is_what_a_loop_with_scipy_gives(kernel: str, sets: Sets, tile: int, sigma: float) -> None:
    matrix = rsm(sets, kernel=kernel, sigma=sigma, tile=tile)
    close(matrix, slow_sums(sets, sets), sets, sets)
    own = norms(sets)
    for i, j in np.ndindex(matrix.shape):
        expected = slow_kernel(kernel, float(matrix.sums[i, j]), own[i], own[j], sigma)
        assert matrix.values[i, j] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert (matrix.values == matrix.values.T).all()


@settings(deadline=None, max_examples=30)
@given(sets=collections_of_sets(), tile=st.integers(1, 9), cut=st.integers(1, 6))
def test_a_rectangle_is_a_block_of_the_square(sets: Sets, tile: int, cut: int) -> None:
    whole = rsm(sets)
    rows, columns = sets[:cut], sets[-cut:]
    part = rsm(rows, columns, tile=tile)
    assert not part.symmetric
    close(part, slow_sums(rows, columns), rows, columns)
    block = (slice(0, cut), slice(len(sets) - len(columns), None))
    unit = np.outer(norms(rows), norms(columns))
    assert (np.abs(part.sums - whole.sums[block]) <= part.gaps + whole.gaps[block] + 1e-9 * unit).all()


@settings(deadline=None, max_examples=30)
@given(sets=collections_of_sets(), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_tokens_carries_no_meaning(sets: Sets, seed: int) -> None:
    rng = np.random.default_rng(seed)
    close(rsm([rng.permutation(one) for one in sets]), slow_sums(sets, sets), sets, sets)


@pytest.mark.parametrize("matching", Matching)
def test_tiles_change_nothing(matching: Matching) -> None:
    sets = np.random.default_rng(3).standard_normal((11, 6, 5)).astype(np.float32)
    matrices = [rsm(sets, matching=matching, tile=tile) for tile in (1, 4, 11)]
    for matrix in matrices[1:]:
        np.testing.assert_allclose(matrix.sums, matrices[0].sums, rtol=1e-12)
    assert matching is Matching.MAXSIM or (matrices[1].sums == matrices[1].sums.T).all()


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_nothing_to_the_bit(threads: int) -> None:
    sets = np.random.default_rng(3).standard_normal((30, 9, 8)).astype(np.float32)
    one, more = rsm(sets, tile=8), rsm(sets, tile=8, threads=threads)
    assert (one.sums == more.sums).all()
    assert (one.gaps == more.gaps).all()


@pytest.mark.parametrize("matching", ONE_TO_ONE)
def test_gaps_cover_what_a_matching_misses(matching: Matching) -> None:
    sets = np.random.default_rng(4).standard_normal((8, 7, 5)).astype(np.float32)
    best, found = rsm(sets), rsm(sets, matching=matching, options=MatchingOptions(window=3, top=3))
    assert found.gaps is not None
    assert (found.sums + found.gaps >= best.sums - 1e-9).all()
    assert (found.sums <= best.sums + best.gaps + 1e-9).all()


@pytest.mark.parametrize("matching", [Matching.NONE, Matching.MAXSIM, Matching.CHAMFER])
def test_what_bounds_nothing_has_no_gaps(matching: Matching) -> None:
    matrix = rsm(np.ones((3, 2, 2), np.float32), matching=matching)
    assert matrix.gaps is None
    assert matrix.largest_gap() is None


def test_matching_none_is_the_flattened_kernel() -> None:
    maps = np.random.default_rng(5).standard_normal((6, 4, 3, 2)).astype(np.float32)
    flat = maps.reshape(6, -1).astype(np.float64)
    np.testing.assert_allclose(rsm(maps, matching="none").sums, flat @ flat.T, rtol=1e-9)


def test_maxsim_is_not_symmetric() -> None:
    sets = [np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 0.0]])]
    np.testing.assert_array_equal(rsm(sets, matching="maxsim").sums, [[2.0, 2.0], [1.0, 1.0]])


def test_blocks_that_do_not_fit_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = np.random.default_rng(3).standard_normal((11, 6, 5)).astype(np.float32)
    expected = rsm(sets, tile=2)
    monkeypatch.setattr(_blocks, "_KEPT_BYTES", 0)
    np.testing.assert_array_equal(rsm(sets, tile=2).sums, expected.sums)


def test_a_block_that_is_read_meets_all_rows_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six blocks of which four stay, two of them rows: every two rows read what lies right of them once."""
    reads: list[int] = []
    original = _blocks.Blocks._read
    monkeypatch.setattr(_blocks, "_KEPT_BYTES", 4 * 2 * 6 * 5 * 4)
    monkeypatch.setattr(_blocks.Blocks, "_read", lambda self, number: (reads.append(number), original(self, number))[1])
    rsm(np.random.default_rng(3).standard_normal((12, 6, 5)).astype(np.float32), tile=2)
    assert len(reads) <= 6 + (6 + 4 + 2)


def test_progress_ends_with_all_pairs() -> None:
    seen: list[tuple[int, int]] = []
    rsm(np.ones((5, 2, 2), np.float32), tile=2, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (15, 15)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "containment"}, "kernel is 'containment'; give one of cosine, inner_product, rbf"),
        ({"matching": "best"}, "matching is 'best'; give one of exact, none, greedy"),
        ({"sigma": 0.0}, "sigma is 0.0; give a positive number"),
        ({"sigma": float("nan")}, "sigma is nan"),
        ({"tile": 0}, "tile is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"row_ids": ["one"]}, "1 row_ids for 2 images"),
        ({"row_ids": ["one", "one"]}, "row_ids hold 'one' 2 times; give every image an id of its own"),
        ({"column_ids": ["one", "two"]}, "column_ids are given, but b is not"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        rsm(np.ones((2, 2, 2), np.float32), **options)


def test_sets_of_different_width_are_not_compared() -> None:
    with pytest.raises(FeatureError, match="a has tokens of 2 numbers, b of 3"):
        rsm(np.ones((2, 2, 2), np.float32), np.ones((2, 2, 3), np.float32))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e300])
def test_the_image_that_is_not_finite_is_named(wrong: float) -> None:
    sets = np.ones((9, 2, 2))
    sets[7, 1, 0] = wrong
    with pytest.raises(FeatureError, match=r"a\[7\] holds NaN, infinity or a number beyond float32"):
        rsm(sets, tile=2)


def test_matching_none_needs_equal_positions() -> None:
    with pytest.raises(InvalidInput, match=r"a\[0\] has 2 tokens and a\[1\] 3 tokens"):
        rsm([np.ones((2, 2)), np.ones((3, 2))], matching="none")
    tokens = np.ones((6, 2), np.float32)
    grids = [FeatureSet(tokens, grid=Grid(2, 3)), FeatureSet(tokens, grid=Grid(3, 2))]
    with pytest.raises(InvalidInput, match=r"a\[0\] has 2x3 tokens and a\[1\] 3x2 tokens; give equal grids"):
        rsm(grids, matching="none")
    with pytest.raises(InvalidInput, match=r"a\[0\] has 2x3 tokens and b\[0\] 3x2"):
        rsm(np.ones((1, 4, 2, 3)), np.ones((1, 4, 3, 2)), matching="none")


def test_ids_can_be_given() -> None:
    matrix = rsm(np.ones((2, 2, 2)), np.ones((1, 2, 2)), row_ids=["x", "y"], column_ids=["z"])
    assert (matrix.row_ids, matrix.column_ids) == (("x", "y"), ("z",))
    assert rsm(np.ones((1, 2, 2)), row_ids=["x"]).column_ids == ("x",)
