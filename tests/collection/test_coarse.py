"""Coarse vectors: what they are, that token order does not matter, and what zero and odd sets give."""

from __future__ import annotations

import numpy as np
import pytest

from setwise_engine.coarse import DEFAULT_COARSE, KINDS, Coarse
from setwise_engine.errors import Incompatible, InvalidInput

RNG = np.random.default_rng(0)
BASIS = np.linalg.qr(RNG.standard_normal((80, 64)))[0].astype(np.float32)
SETS = [RNG.standard_normal((n, 80)).astype(np.float16) for n in (9, 30, 1)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_unit_vectors_that_forget_the_order_of_tokens(kind: str) -> None:
    coarse = Coarse(kind, BASIS)
    vectors = coarse.pool_many(SETS)
    assert vectors.shape == (3, coarse.dims)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)
    assert coarse.pool(SETS[1][::-1]) == pytest.approx(vectors[1], abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_sets_without_tokens_or_of_zeros_give_zeros(kind: str) -> None:
    empty, zeros = np.zeros((0, 80), np.float16), np.zeros((5, 80), np.float16)
    assert not Coarse(kind, BASIS).pool_many([empty, zeros]).any()


def test_second_order_inner_product_is_the_trace_of_two_matrix_square_roots() -> None:
    a, b = Coarse("sqrtcov16", BASIS).pool_many(SETS[:2]).astype(np.float64)
    roots = [_square_root(tokens.astype(np.float64) @ BASIS[:, :16]) for tokens in SETS[:2]]
    trace = np.trace(roots[0] @ roots[1]) / np.prod([np.linalg.norm(root) for root in roots])
    assert a @ b == pytest.approx(trace, abs=1e-5)


def test_both_side_by_side_weigh_the_mean_with_a_fifth() -> None:
    products = {}
    for kind in ("mean", "sqrtcov32", "mean+sqrtcov32"):
        a, b = Coarse(kind, BASIS).pool_many(SETS[:2]).astype(np.float64)
        products[kind] = a @ b
    assert products["mean+sqrtcov32"] == pytest.approx(0.2 * products["mean"] + 0.8 * products["sqrtcov32"], abs=1e-6)


def test_a_kind_or_a_set_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidInput, match="coarse vector 'median' does not exist"):
        Coarse("median", BASIS)
    with pytest.raises(Incompatible, match="do not fit a coarse basis for d=80"):
        Coarse(DEFAULT_COARSE, BASIS).pool(np.ones((3, 79), np.float16))


def _square_root(tokens: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(tokens.T @ tokens)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
