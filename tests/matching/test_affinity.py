"""The affinity is the exact inner product rounded once, in the native kernel and in its numpy twin."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from setwise_engine.errors import FeatureError
from setwise_engine.matching import _affinity

Half = NDArray[np.float16]
Floats = NDArray[np.float64]
Implementation = Callable[[Half, Half], Floats]

try:
    from setwise_engine.matching import _kernel
except ImportError:  # a machine without a compiler
    IMPLEMENTATIONS: dict[str, Implementation] = {"numpy": _affinity._numpy_affinity}
else:
    IMPLEMENTATIONS = {"native": _kernel.affinity, "numpy": _affinity._numpy_affinity}

every_implementation = pytest.mark.parametrize("affinity", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS.keys())


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


@every_implementation
@given(pair=pairs_of_sets())
@settings(deadline=None)
def test_is_the_exact_inner_product_rounded_once(affinity: Implementation, pair: tuple[Half, Half]) -> None:
    assert equal_bits(affinity(*pair), exact(*pair))


@every_implementation
@pytest.mark.parametrize("scale", [1e-6, 0.1, 1.0, 40.0, 8000.0])
@pytest.mark.parametrize(("n", "m", "d"), [(5, 131, 33), (7, 3, 1280), (1, 2, 9001), (0, 4, 3), (4, 0, 3)])
def test_is_exact_at_every_scale_and_shape(affinity: Implementation, n: int, m: int, d: int, scale: float) -> None:
    random = np.random.default_rng(7)
    q, x = (np.clip(random.normal(size=(k, d)) * scale, -65504, 65504).astype(np.float16) for k in (n, m))
    assert equal_bits(affinity(q, x), exact(q, x))


@every_implementation
def test_is_exact_where_the_terms_cancel(affinity: Implementation) -> None:
    q = np.array([[65504, 2**-24, -65504]], dtype=np.float16)
    x = np.array([[65504, 2**-24, 65504], [0, -0.0, 0]], dtype=np.float16)
    assert equal_bits(affinity(q, x), np.array([[2.0**-48, 0.0]]))


def test_does_not_depend_on_the_order_of_tokens_sets_or_dimensions() -> None:
    random = np.random.default_rng(3)
    q, x = (random.normal(size=(k, 96)).astype(np.float16) for k in (20, 31))
    rows, columns, dimensions = (random.permutation(k) for k in (20, 31, 96))
    A = _affinity.affinity(q, x)
    assert equal_bits(_affinity.affinity(q[rows], x[columns]), A[np.ix_(rows, columns)].copy())
    assert equal_bits(_affinity.affinity(x, q), A.T.copy())
    assert equal_bits(_affinity.affinity(q[:, dimensions], x[:, dimensions]), A)


def test_threads_do_not_disturb_each_other() -> None:
    random = np.random.default_rng(5)
    sets = [random.normal(size=(30, 64)).astype(np.float16) for _ in range(8)]
    alone = [_affinity.affinity(s, sets[0]) for s in sets]
    together: list[bool] = []

    def work(index: int) -> None:
        together.append(all(equal_bits(_affinity.affinity(sets[index], sets[0]), alone[index]) for _ in range(50)))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [True] * 8


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
        (np.zeros((2, 3), np.float16), np.full((1, 3), -np.inf, np.float16), "NaN or infinity"),
    ],
)
def test_refuses_what_is_no_pair_of_sets(q: Half, x: Half, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        _affinity.affinity(q, x)


@every_implementation
def test_implementations_refuse_what_is_not_finite(affinity: Implementation) -> None:
    bad, good = np.array([[1, np.inf]], np.float16), np.ones((1, 2), np.float16)
    for pair in ((bad, good), (good, bad)):
        with pytest.raises(ValueError, match="tokens hold NaN or infinity"):
            affinity(*pair)


def test_the_kernel_checks_shapes_itself() -> None:
    kernel = pytest.importorskip("setwise_engine.matching._kernel")
    with pytest.raises(ValueError, match="tokens of q have 3 numbers, those of x 4"):
        kernel.affinity(np.zeros((2, 3), np.float16), np.zeros((2, 4), np.float16))
    with pytest.raises(TypeError):
        kernel.affinity(np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float16))


def run(setting: str, *, built: bool = True) -> subprocess.CompletedProcess[str]:
    """Asks a fresh process twice which kernel it uses; `built=False` hides the native one, as if it was not built."""
    hide = "" if built else "sys.modules['setwise_engine.matching._kernel'] = None"
    ask = "from setwise_engine.matching._affinity import kernel_name\nprint(kernel_name(), kernel_name())"
    command = [sys.executable, "-c", f"import sys\n{hide}\n{ask}"]
    environment = os.environ | {"SETWISE_KERNEL": setting}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_variable_chooses_the_implementation() -> None:
    assert run("numpy").stdout == "numpy numpy\n"
    if "native" in IMPLEMENTATIONS:
        assert run("native").stdout == run("auto").stdout == "native native\n"
    assert "SETWISE_KERNEL is 'fast'; set it to auto, native or numpy" in run("fast").stderr


def test_a_machine_without_the_native_kernel_says_so_once_and_goes_on() -> None:
    answer = run("auto", built=False)
    assert answer.stdout == "numpy numpy\n"
    assert answer.stderr.count("the native kernel was not built") == 1
    assert run("numpy", built=False).stderr == ""


def test_asking_for_a_kernel_that_was_not_built_is_an_error() -> None:
    answer = run("native", built=False)
    assert answer.returncode != 0
    assert "install a C++17 compiler and reinstall" in answer.stderr
