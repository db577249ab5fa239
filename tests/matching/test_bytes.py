"""Anything that numpy can hold, given to the matching: every path answers alike, rightly or with the same refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from setwise_engine.errors import InvalidInput
from setwise_engine.matching import affinity, assign, assign_batch, match, maxsim, similarity, verify
from setwise_engine.matching._paths import available, use

FLOATS = ["<f2", "<f4", "<f8", ">f4", ">f8"]
OTHERS = ["<i2", "<u8", "?", "<c8", "S3", "<U2", "<M8[s]", "<f2,<f4"]


@st.composite
def any_arrays(draw: st.DrawFn, dtypes: list[str], ndim: int | None = None) -> np.ndarray:
    """Random bytes, random shape, random strides: reversed, skipping, turned or repeating views."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    shape = draw(st.lists(st.integers(0, 5), min_size=ndim or 0, max_size=ndim or 3))
    count = int(np.prod(shape, dtype=int)) * dtype.itemsize
    plain = st.sampled_from([b"\0", b"\x3c", b"\x3f", b"\xff", b"\x7f"])
    data = draw(st.binary(min_size=count, max_size=count)) if draw(st.booleans()) else draw(plain) * count
    array = np.frombuffer(data, dtype).reshape(shape)
    match draw(st.integers(0, 5)) if array.ndim else 5:
        case 0:
            return array[..., ::-1]
        case 1:
            return array.T
        case 2:
            return array[::2]
        case 3 if array.ndim == 2 and array.shape[0]:
            return np.broadcast_to(array[:1], array.shape)
        case 4:
            return np.asfortranarray(array)
    return array


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or how it refuses; any other error is a failure."""
    try:
        return call()
    except InvalidInput as error:
        return type(error), str(error), error.field


def same_everywhere(call: Callable[[], Any]) -> Any:
    """The outcome of a call, which all paths share."""
    outcomes = []
    for path in available():
        with use(path):
            outcomes.append(outcome(call))
    assert all(one == outcomes[0] for one in outcomes[1:]), outcomes
    return outcomes[0]


@given(any_arrays(FLOATS + OTHERS) | any_arrays(FLOATS, ndim=2))
@settings(deadline=None, max_examples=300)
def test_assign_answers_or_refuses_alike(array: np.ndarray) -> None:
    def value() -> tuple[float, ...]:
        solved, (again,) = assign(array), assign_batch([array])
        verify(array, solved)
        assert again.value == solved.value
        return solved.value, len(solved.rows), len(solved.row_prices), len(solved.column_prices)

    same_everywhere(value)
    batch = same_everywhere(lambda: [one.value for one in assign_batch([np.zeros((1, 2)), array])])
    assert isinstance(batch, list) or batch[1].startswith("matrix 1: ")


@given(any_arrays(["<f2", ">f2", "<f4", "<i2"]) | any_arrays(["<f2"], ndim=2), any_arrays(["<f2"], ndim=2))
@settings(deadline=None, max_examples=300)
def test_affinity_answers_or_refuses_alike(q: np.ndarray, x: np.ndarray) -> None:
    for a, b in ((q, x), (x, q)):
        same_everywhere(lambda a=a, b=b: affinity(a, b).tolist())


@given(any_arrays([*FLOATS, "<i2"]) | any_arrays(["<f2", "<f4"], ndim=2), any_arrays(["<f2", "<f4"], ndim=2))
@settings(deadline=None, max_examples=200)
def test_similarities_answer_or_refuse_alike(q: np.ndarray, x: np.ndarray) -> None:
    for kernel in ("cosine", "inner_product", "rbf", "containment"):
        same_everywhere(lambda kernel=kernel: similarity(q, x, kernel=kernel, sigma=2.0))
    same_everywhere(lambda: maxsim(x, q))
    same_everywhere(lambda: match(q, x).scores)


@pytest.mark.parametrize("threads", [0, -1, 1025])
def test_impossible_numbers_of_threads_are_refused(threads: int) -> None:
    refusal = same_everywhere(lambda: assign_batch([np.eye(2)], threads=threads))
    assert refusal[1:] == (f"threads is {threads}; give 1 to 1024", "threads")


def test_a_batch_is_a_sequence() -> None:
    with pytest.raises(InvalidInput, match="affinities is int"):
        assign_batch(7)  # type: ignore[arg-type]
    assert len(assign_batch([])) == 0
    assert [one.value for one in assign_batch(np.ones((3, 2, 2)))] == [2.0] * 3
