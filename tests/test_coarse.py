"""Coarse vectors: unit, blind to the order of tokens, and below the norm that bounds the matched sum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from setwise_engine.coarse import DEFAULT_COARSE, KINDS, Coarse
from setwise_engine.errors import Incompatible, InvalidInput

Half = NDArray[np.float16]
DIMS = 24
SEEDS = st.integers(0, 10_000)
SIZES = st.integers(1, 40)


def basis(dims: int = DIMS, rank: int = DIMS) -> NDArray[np.float32]:
    q, _ = np.linalg.qr(np.random.default_rng(7).standard_normal((dims, dims)))
    return q[:, :rank].astype(np.float32)


def tokens(seed: int, n: int, dims: int = DIMS) -> Half:
    rng = np.random.default_rng(seed)
    # Norms and directions as uneven as a network's: a few strong tokens, some of rank 2, some zero.
    mixed = rng.standard_normal((n, dims)) * rng.exponential(2.0, (n, 1))
    if seed % 3 == 0:
        mixed = rng.standard_normal((n, 2)) @ rng.standard_normal((2, dims))
    mixed[rng.random(n) < 0.1] = 0
    return mixed.astype(np.float16)


def square_root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The oracle: the positive square root through an SVD of the factor, not of the product."""
    _, values, vectors = np.linalg.svd(matrix, full_matrices=True)
    full = np.zeros(vectors.shape[0])
    full[: len(values)] = values
    root: NDArray[np.float64] = vectors.T @ np.diag(full) @ vectors
    return root


def test_dimensions() -> None:
    wide = basis(256, 64)
    assert [Coarse(kind, wide).dims for kind in KINDS] == [256, 136, 528, 2080, 784, 2336]
    assert Coarse("sqrtcov64", basis(8)).dims == 36  # no more columns than there are
    assert DEFAULT_COARSE in KINDS


@pytest.mark.parametrize("kind", KINDS)
@given(seed=SEEDS, n=SIZES)
def test_the_order_of_tokens_does_not_matter(kind: str, seed: int, n: int) -> None:
    x = tokens(seed, n)
    coarse = Coarse(kind, basis())
    shuffled = x[np.random.default_rng(seed + 1).permutation(n)]
    np.testing.assert_allclose(coarse.pool(shuffled), coarse.pool(x), atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=SEEDS, n=SIZES)
def test_vectors_have_unit_norm_and_know_no_scale(kind: str, seed: int, n: int) -> None:
    x = tokens(seed, n)
    coarse = Coarse(kind, basis())
    vector = coarse.pool(x)
    assert vector.shape == (coarse.dims,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1.0 if x.any() else 0.0, abs=1e-6)
    np.testing.assert_allclose(coarse.pool(x * np.float16(4)), vector, atol=1e-6)


@given(seed=SEEDS, n=SIZES, m=SIZES)
def test_inner_products_are_the_trace_of_the_roots_and_below_the_nuclear_norm(seed: int, n: int, m: int) -> None:
    x, y = tokens(seed, n), tokens(seed + 1, m)
    coarse = Coarse("sqrtcov32", basis())
    x_root, y_root = (square_root((t.astype(np.float32) @ basis()).astype(np.float64)) for t in (x, y))
    scale = float(np.linalg.norm(x.astype(np.float64)) * np.linalg.norm(y.astype(np.float64)))
    product = float(coarse.pool(x).astype(np.float64) @ coarse.pool(y)) * scale
    assert product == pytest.approx(np.trace(x_root @ y_root), abs=2e-5 * scale)
    nuclear = float(np.linalg.svd(x.astype(np.float64) @ y.astype(np.float64).T, compute_uv=False).sum())
    assert product <= nuclear + 2e-5 * scale


@given(seed=SEEDS, n=SIZES, m=SIZES)
def test_side_by_side_the_mean_weighs_a_fifth(seed: int, n: int, m: int) -> None:
    x, y = tokens(3 * seed + 1, n + 3), tokens(3 * seed + 2, m + 3)
    kinds = ("mean", "sqrtcov32", "mean+sqrtcov32")
    mean, second, both = (float(c.pool(x) @ c.pool(y)) for c in (Coarse(kind, basis()) for kind in kinds))
    assert both == pytest.approx(0.2 * mean + 0.8 * second, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_change_nothing(kind: str) -> None:
    sets = [tokens(seed, 1 + 5 * seed) for seed in range(6)]
    coarse = Coarse(kind, basis())
    together = coarse.pool_many(sets)
    for one, vector in zip(sets, together, strict=True):
        np.testing.assert_array_equal(coarse.pool(one), vector)
    assert coarse.pool_many([]).shape == (0, coarse.dims)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_pools_to_nothing(kind: str) -> None:
    coarse = Coarse(kind, basis())
    for empty in (np.zeros((0, DIMS), np.float16), np.zeros((5, DIMS), np.float16)):
        assert not coarse.pool(empty).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [2.0**-24, 65504.0])
def test_extreme_tokens_pool_like_others(kind: str, size: float) -> None:
    x = np.full((100, DIMS), size, np.float16)
    x[::2, 3] = 0
    vector = Coarse(kind, basis()).pool(x)
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'netvlad' does not exist; choose one of mean"):
        Coarse("netvlad", basis())
    with pytest.raises(InvalidInput, match="needs an encoder with a coarse basis"):
        Coarse("sqrtcov32", np.zeros((8, 0), np.float32))
    with pytest.raises(Incompatible, match="d=24"):
        Coarse("mean", basis()).pool(np.zeros((3, 25), np.float16))
