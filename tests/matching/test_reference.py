"""The reference assignment is the true optimum, and its prices prove it."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from setwise_engine.errors import FeatureError, InvalidInput
from setwise_engine.matching import affinity, reference, square, upper_bound, verify
from setwise_engine.matching._integers import floats, integers, optimum
from setwise_engine.matching.reference import assign

# Ordinary, huge, subnormal and zero numbers, and enough repeats for ties.
numbers = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0**-24, 65504.0]),
    st.floats(width=16, allow_nan=False, allow_infinity=False),
)


@st.composite
def pairs_of_sets(draw: st.DrawFn, largest: int = 6, square: bool = False) -> tuple[np.ndarray, np.ndarray]:
    n, m, d = draw(st.integers(0, largest)), draw(st.integers(0, largest)), draw(st.integers(1, 4))
    m = n if square else m
    return draw(arrays(np.float16, (n, d), elements=numbers)), draw(arrays(np.float16, (m, d), elements=numbers))


def brute_force(A: np.ndarray) -> float:
    """The oracle: the largest sum over all one-to-one matchings, tried one by one."""
    if A.shape[0] > A.shape[1]:
        return brute_force(A.T)
    n, m = A.shape
    return max(math.fsum(A[range(n), p]) for p in itertools.permutations(range(m), n))


@given(pairs_of_sets())
def test_affinities_are_the_nearest_float64_to_the_true_inner_products(sets: tuple[np.ndarray, np.ndarray]) -> None:
    """The oracle is rational arithmetic; what search computes with gives the same bits."""
    q, x = sets
    A = reference.affinity(q, x)
    for i, j in itertools.product(range(len(q)), range(len(x))):
        true = sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(q[i], x[j], strict=True))
        assert A[i, j] == float(true)
    assert np.array_equal(affinity(q, x), A)


@given(pairs_of_sets())
def test_squares_are_the_diagonal_of_a_set_with_itself(sets: tuple[np.ndarray, np.ndarray]) -> None:
    q = sets[0]
    assert np.array_equal(reference.squares(q), reference.affinity(q, q).diagonal())
    assert square(q) == math.fsum(reference.squares(q))


def test_tokens_of_many_dimensions_stay_exact() -> None:
    tokens = np.full((2, 10_000), 65504.0, np.float16)
    tokens[1, ::2] = -(2.0**-24)
    half, small = 5000 * 65504**2, 5000 * Fraction(65504, 2**24)
    assert reference.affinity(tokens, tokens).tolist() == [[2.0 * half, float(half - small)]] * 1 + [
        [float(half - small), float(half + 5000 * Fraction(1, 2**48))]
    ]


@given(pairs_of_sets())
def test_no_matching_is_better(sets: tuple[np.ndarray, np.ndarray]) -> None:
    A = affinity(*sets)
    assert assign(A).value == brute_force(A)


@given(pairs_of_sets(largest=12))
def test_prices_prove_the_optimum_in_every_shape(sets: tuple[np.ndarray, np.ndarray]) -> None:
    A = affinity(*sets)
    a = assign(A)
    verify(A, a)
    n, m = A.shape
    assert len(a.rows) == len(a.columns) == min(n, m)
    if n < m:
        assert (a.column_prices >= 0).all()
        assert not np.delete(a.column_prices, a.columns).any()
    if n > m:
        assert (a.row_prices >= 0).all()
        assert not np.delete(a.row_prices, a.rows).any()


@pytest.mark.parametrize("shape", [(100, 100), (49, 100), (100, 49), (1, 256), (256, 1)])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
def test_prices_prove_the_optimum_of_large_sets(shape: tuple[int, int], scale: float) -> None:
    rng = np.random.default_rng(1)
    common = rng.standard_normal(32)
    q, x = ((scale * (common + rng.standard_normal((n, 32)))).astype(np.float16) for n in shape)
    verify(affinity(q, x), assign(affinity(q, x)))


def test_ties_everywhere_are_no_obstacle() -> None:
    for A in (np.zeros((7, 7)), np.ones((5, 9)), np.eye(6), np.full((9, 5), -2.0)):
        verify(A, assign(A))


@given(pairs_of_sets(largest=8), st.randoms(use_true_random=False))
def test_the_order_of_tokens_does_not_matter(sets: tuple[np.ndarray, np.ndarray], random) -> None:
    q, x = sets
    rows, columns = random.sample(range(len(q)), len(q)), random.sample(range(len(x)), len(x))
    assert assign(affinity(q, x)).value == assign(affinity(q[rows], x[columns])).value


@given(pairs_of_sets(largest=8))
def test_the_matched_sum_is_symmetric(sets: tuple[np.ndarray, np.ndarray]) -> None:
    q, x = sets
    assert assign(affinity(q, x)).value == assign(affinity(x, q)).value


@given(pairs_of_sets(square=True), st.integers(0, 2**32 - 1))
def test_centring_moves_the_value_but_not_the_matching_of_equal_sizes(sets, seed: int) -> None:
    """<q - a, x - b> = <q, x> - <q, b> - <a, x> + <a, b>: constants that every full matching pays alike."""
    q, x = (s.astype(np.float64) for s in sets)
    a, b = np.random.default_rng(seed).standard_normal((2, q.shape[1]))
    A, centred = q @ x.T, (q - a) @ (x - b).T
    shift = math.fsum(x @ a) + math.fsum(q @ b) - len(q) * float(a @ b)
    best = assign(centred)
    within = 1e-12 * (1 + np.abs(A).sum() + np.abs(centred).sum())
    assert math.isclose(A[best.rows, best.columns].sum(), assign(A).value, abs_tol=within)
    assert math.isclose(best.value, assign(A).value - shift, abs_tol=within)


@given(pairs_of_sets(largest=8))
def test_maxsim_of_the_smaller_side_bounds_the_matched_sum(sets: tuple[np.ndarray, np.ndarray]) -> None:
    A = affinity(*sets)
    assert upper_bound(A) >= assign(A).value


def test_maxsim_of_the_larger_side_bounds_nothing() -> None:
    A = np.array([[1.0], [-5.0]])
    assert upper_bound(A) == assign(A).value == 1.0
    assert A.max(axis=1).sum() == -4.0


def test_affinities_of_different_dimensions_are_refused_naming_both() -> None:
    with pytest.raises(FeatureError, match=r"tokens of 3 .* 4"):
        affinity(np.zeros((2, 3), np.float16), np.zeros((2, 4), np.float16))


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 99))
def test_a_bad_start_ends_at_the_same_optimum(n: int, m: int, seed: int) -> None:
    """scipy's float64 sums may miss the optimum by a little; here the start misses it by much."""
    n, m = min(n, m), max(n, m)
    rng = np.random.default_rng(seed)
    A = rng.integers(-99, 100, (n, m)).astype(np.float64)
    k, exponent = integers(A)
    columns, v = optimum(k, rng.permutation(m)[:n])
    assert floats(k[np.arange(n), columns], exponent).sum() == assign(A).value
    assert np.array_equal(floats(v, exponent), assign(A).column_prices)


def test_an_optimum_that_float64_cannot_see_is_found() -> None:
    """Matchings that differ by 2^-90 of the affinities; the last pair takes the common 1 away, so that it shows."""
    A = np.array(
        [[1.0, 0.0, 0.0, -5.0], [1.0, 0.0, 2.0**-90, -5.0], [0.0, 2.0**-91, -1.0, -5.0], [-5.0, -5.0, -5.0, -1.0]]
    )
    for order in itertools.permutations(range(4)):
        assert assign(A[:, order]).value == 2.0**-90 + 2.0**-91


def test_entries_far_below_the_largest_round_to_its_grid() -> None:
    grid = 2.0**-97  # of numbers below 1
    for entry, value in ((1.5, 2), (2.5, 2), (0.5, 0), (0.51, 1), (-1.5, -2)):  # to the nearest, ties to even
        A = np.array([[0.75, -0.9, -0.9], [-0.9, -0.75, -0.9], [-0.9, -0.9, entry * grid]])
        assert assign(A).value == value * grid


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.int8, np.uint64, bool])
def test_real_numbers_of_every_type_and_layout_are_taken(dtype: type) -> None:
    A = np.random.default_rng(0).integers(0, 2, (6, 8)).astype(dtype)
    value = assign(A.astype(np.float64)).value
    for same in (A, np.asfortranarray(A), A[::-1], np.repeat(A, 2, axis=1)[:, ::2], A.astype(A.dtype.newbyteorder())):
        assert assign(same).value == value
    assert assign(A.tolist()).value == value


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros(3), r"shape \(3,\)"),
        (np.zeros((1, 2, 3)), r"shape \(1, 2, 3\)"),
        (np.array([[np.nan]]), "NaN or infinity"),
        (np.array([[0.0, np.inf]]), "NaN or infinity"),
        (np.array([[-2e300]]), "numbers up to 2e\\+300"),
        ([[1.0], [1.0, 2.0]], "give equal rows"),
        ([["1"]], "holds <U1"),
        (np.array([[1j]]), "holds complex128"),
        (np.array([[None]]), "holds object"),
    ],
)
def test_what_is_no_matrix_of_finite_numbers_is_refused(matrix: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        assign(matrix)
