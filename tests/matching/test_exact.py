"""Inner products of float16 arrays carry no rounding but the last."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from setwise_engine.matching._exact import exact_dot, square

half_numbers = st.floats(width=16, allow_nan=False, allow_infinity=False)


def true_dot(a: np.ndarray, b: np.ndarray) -> float:
    """The oracle: rational arithmetic, rounded once."""
    return float(
        sum((Fraction(float(s)) * Fraction(float(t)) for s, t in zip(a.ravel(), b.ravel(), strict=True)), Fraction())
    )


@given(arrays(np.float16, (2, 3, 5), elements=half_numbers))
def test_the_sum_is_the_nearest_float64_to_the_true_one(both: np.ndarray) -> None:
    assert exact_dot(both[0], both[1]) == true_dot(both[0], both[1])
    assert square(both[0]) == true_dot(both[0], both[0])


def test_largest_and_smallest_numbers_meet_without_loss() -> None:
    a = np.array([65504.0, 2.0**-24, -65504.0], np.float16)
    b = np.array([65504.0, 2.0**-24, 65504.0], np.float16)
    assert exact_dot(a, b) == 2.0**-48


def test_many_blocks_of_the_largest_number_stay_exact() -> None:
    a = np.full((100, 256), 65504.0, np.float16)
    assert square(a) == 25600 * 65504.0**2


def test_order_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 20000)).astype(np.float16)
    order = rng.permutation(20000)
    assert exact_dot(a, b) == exact_dot(a[order], b[order]) == exact_dot(b, a)


def test_nothing_sums_to_zero() -> None:
    empty = np.zeros((0, 4), np.float16)
    assert exact_dot(empty, empty) == square(empty) == 0.0
