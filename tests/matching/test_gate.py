"""The int8 gate: its errors and norms are upper bounds of the exact ones, and not much larger."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from setwise_engine.errors import FeatureError
from setwise_engine.matching import Gate, gate

Half = NDArray[np.float16]


def offsets(lengths: list[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def square(numbers: list[Fraction]) -> Fraction:
    return sum((number * number for number in numbers), Fraction(0))


def check_exactly(tokens: Half, made: Gate, lengths: list[int]) -> None:
    """In rational numbers: nothing is rounded here."""
    centres = np.repeat(made.means, lengths, axis=0)
    for j, token in enumerate(tokens):
        centred = [Fraction(float(x)) - Fraction(float(c)) for x, c in zip(token, centres[j], strict=True)]
        scale = Fraction(float(made.scales[j]))
        codes = made.codes[j].tolist()
        assert max(map(abs, centred), default=0) <= 127 * scale
        assert all(abs(code) <= 127 for code in codes)
        rest = [x - scale * code for x, code in zip(centred, codes, strict=True)]
        assert max(map(abs, rest), default=0) <= scale * Fraction(1, 2) * (1 + Fraction(1, 1 << 40))
        assert square(rest) <= Fraction(float(made.errors[j])) ** 2
        assert square(centred) <= Fraction(float(made.norms[j])) ** 2
        assert float(made.norms[j]) <= math.sqrt(square(centred)) * (1 + 2**-21) + 3e-45
        slack = 2**-49 * math.sqrt(square(centred)) + 3e-45
        assert float(made.errors[j]) <= math.sqrt(square(rest)) * (1 + 2**-21) + slack
        assert made.sums[j] == sum(codes)


@st.composite
def sets(draw: st.DrawFn) -> tuple[Half, list[int]]:
    lengths = draw(st.lists(st.integers(0, 4), max_size=4))
    limit = draw(st.sampled_from([2.0**-24, 1e-6, 1.0, 300.0, 65504.0]))
    numbers = st.floats(-float(np.float16(limit)), float(np.float16(limit)), width=16)
    return draw(arrays(np.float16, (sum(lengths), draw(st.integers(1, 5))), elements=numbers)), lengths


@given(case=sets())
@settings(deadline=None)
def test_errors_and_norms_are_upper_bounds(case: tuple[Half, list[int]]) -> None:
    tokens, lengths = case
    check_exactly(tokens, gate(tokens, offsets(lengths)), lengths)


def test_a_number_that_float64_cannot_centre_exactly() -> None:
    """65504 less a third of 2^-24 needs more than 53 bits: the bound covers that rounding as well."""
    tokens = np.array([[65504], [-65504], [2.0**-24]], np.float16)
    check_exactly(tokens, gate(tokens, offsets([3])), [3])


def test_shapes_dtypes_and_what_a_set_is_centred_at() -> None:
    tokens = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float16)
    made = gate(tokens, offsets([4, 0, 3]))
    arrays_ = {name: getattr(made, name) for name in Gate.__dataclass_fields__}
    assert {name: (array.dtype.str, array.shape) for name, array in arrays_.items()} == {
        "codes": ("|i1", (7, 3)),
        "scales": ("<f4", (7,)),
        "errors": ("<f4", (7,)),
        "norms": ("<f4", (7,)),
        "sums": ("<i4", (7,)),
        "means": ("<f4", (3, 3)),
    }
    assert all(array.flags.c_contiguous for array in arrays_.values())
    assert not made.means[1].any()
    np.testing.assert_array_equal(made.means[0], tokens[:4].astype("f8").mean(axis=0).astype("f4"))


def test_a_set_is_rounded_by_itself() -> None:
    tokens = np.random.default_rng(1).standard_normal((9, 4)).astype(np.float16)
    together, alone = gate(tokens, offsets([4, 5])), gate(tokens[4:], offsets([5]))
    np.testing.assert_array_equal(together.codes[4:], alone.codes)
    np.testing.assert_array_equal(together.errors[4:], alone.errors)


@pytest.mark.parametrize("tokens", [np.zeros((4, 3)), np.full((4, 3), 1.5), np.repeat([[1.0, -2.0, 0.25]], 4, axis=0)])
def test_equal_tokens_have_no_error_at_all(tokens: NDArray[np.float64]) -> None:
    made = gate(tokens.astype(np.float16), offsets([4]))
    assert not any(array.any() for array in (made.codes, made.scales, made.errors, made.norms, made.sums))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(number: float) -> None:
    tokens = np.ones((4, 3), np.float16)
    tokens[2, 1] = number
    with pytest.raises(FeatureError, match="NaN or infinity"):
        gate(tokens, offsets([4]))


def test_other_dtypes_and_shapes_are_refused() -> None:
    with pytest.raises(FeatureError, match="float32"):
        gate(np.ones((4, 3), np.float32), offsets([4]))  # type: ignore[arg-type]
    with pytest.raises(FeatureError, match="shape"):
        gate(np.ones(3, np.float16), offsets([3]))
