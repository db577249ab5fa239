"""The affinity is the exact inner product rounded once, on every path."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from setwise_engine.errors import FeatureError
from setwise_engine.matching import affinity
from setwise_engine.matching._paths import available, use

Half = NDArray[np.float16]
Floats = NDArray[np.float64]

every_path = pytest.mark.parametrize("path", available())


def exact(q: Half, x: Half) -> Floats:
    """The oracle: math.fsum rounds the exact sum once; products of two fp16 numbers are exact in float64."""
    pairs = [[math.fsum(a.astype(np.float64) * b) for b in x] for a in q]
    return np.array(pairs, dtype=np.float64).reshape(len(q), len(x))


def equal_bits(a: Floats, b: Floats) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype == np.float64 and a.tobytes() == b.tobytes()


@st.composite
def pairs_of_sets(draw: st.DrawFn) -> tuple[Half, Half]:
    n, m, d = draw(st.integers(0, 9)), draw(st.integers(0, 9)), draw(st.integers(1, 12))
    limit = draw(st.sampled_from([1e-6, 1.0, 300.0, 65504.0]))
    numbers = st.floats(-float(np.float16(limit)), float(np.float16(limit)), width=16)
    return draw(arrays(np.float16, (n, d), elements=numbers)), draw(arrays(np.float16, (m, d), elements=numbers))


@every_path
@given(pair=pairs_of_sets())
@settings(deadline=None)
def test_is_the_exact_inner_product_rounded_once(path: str, pair: tuple[Half, Half]) -> None:
    with use(path):
        assert equal_bits(affinity(*pair), exact(*pair))


@every_path
@pytest.mark.parametrize("scale", [1e-6, 0.1, 1.0, 40.0, 8000.0])
@pytest.mark.parametrize(("n", "m", "d"), [(5, 131, 33), (7, 3, 1280), (1, 2, 9001), (0, 4, 3), (4, 0, 3)])
def test_is_exact_at_every_scale_and_shape(path: str, n: int, m: int, d: int, scale: float) -> None:
    random = np.random.default_rng(7)
    q, x = (np.clip(random.normal(size=(k, d)) * scale, -65504, 65504).astype(np.float16) for k in (n, m))
    with use(path):
        assert equal_bits(affinity(q, x), exact(q, x))


@every_path
def test_is_exact_where_the_terms_cancel(path: str) -> None:
    q = np.array([[65504, 2**-24, -65504]], dtype=np.float16)
    x = np.array([[65504, 2**-24, 65504], [0, -0.0, 0]], dtype=np.float16)
    with use(path):
        assert equal_bits(affinity(q, x), np.array([[2.0**-48, 0.0]]))


@every_path
def test_does_not_depend_on_the_order_of_tokens_sets_or_dimensions(path: str) -> None:
    random = np.random.default_rng(3)
    q, x = (random.normal(size=(k, 96)).astype(np.float16) for k in (20, 31))
    rows, columns, dimensions = (random.permutation(k) for k in (20, 31, 96))
    with use(path):
        A = affinity(q, x)
        assert equal_bits(affinity(q[rows], x[columns]), A[np.ix_(rows, columns)].copy())
        assert equal_bits(affinity(x, q), A.T.copy())
        assert equal_bits(affinity(q[:, dimensions], x[:, dimensions]), A)


def test_threads_do_not_disturb_each_other() -> None:
    random = np.random.default_rng(5)
    sets = [random.normal(size=(30, 64)).astype(np.float16) for _ in range(8)]
    alone = [affinity(s, sets[0]) for s in sets]
    together: list[bool] = []

    def work(index: int) -> None:
        together.append(all(equal_bits(affinity(sets[index], sets[0]), alone[index]) for _ in range(50)))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [True] * 8


@every_path
@pytest.mark.parametrize(
    ("q", "x", "message"),
    [
        (
            np.zeros((2, 3), np.float16),
            np.zeros((2, 4), np.float16),
            "tokens of 3 numbers and the other of 4",
        ),
        (np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float16), "tokens are float32"),
        (np.zeros(3, np.float16), np.zeros((2, 3), np.float16), r"of shape \(3,\)"),
        (np.full((1, 3), np.nan, np.float16), np.zeros((2, 3), np.float16), "NaN or infinity"),
        (np.array([[1, 1, np.inf]], np.float16), np.zeros((2, 3), np.float16), "NaN or infinity"),
        (np.zeros((2, 3), np.float16), np.full((1, 3), -np.inf, np.float16), "NaN or infinity"),
    ],
)
def test_refuses_what_is_no_pair_of_sets(path: str, q: Half, x: Half, message: str) -> None:
    with use(path), pytest.raises(FeatureError, match=message):
        affinity(q, x)


def test_the_kernel_checks_shapes_itself() -> None:
    kernel = pytest.importorskip("setwise_engine.matching._kernel")
    with pytest.raises(ValueError, match="tokens of q have 3 numbers, those of x 4"):
        kernel.affinity(np.zeros((2, 3), np.float16), np.zeros((2, 4), np.float16))
    with pytest.raises(TypeError):
        kernel.affinity(np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float16))
