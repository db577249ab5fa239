"""Fitting: the directions are the principal ones, less the first, rotated; data and seed decide all of it."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from setwise_engine.encoder import Encoder, fit_encoder
from setwise_engine.errors import FeatureError, InvalidInput

Floats = NDArray[np.float32]


def some_sets(count: int = 30, n: int = 16, d: int = 20, seed: int = 0) -> list[Floats]:
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((d, d)) * np.linspace(3, 0.3, d)[:, None]
    return [(rng.standard_normal((n, d)) @ mix + 5).astype(np.float32) for _ in range(count)]


def test_directions_are_the_principal_ones_without_the_first() -> None:
    """Against numpy's SVD of all tokens together: the same subspace, whatever the rotation in it."""
    sets = some_sets()
    encoder = fit_encoder(sets, model="", dims=6)
    assert encoder.projection is not None
    tokens = np.concatenate(sets).astype(np.float64)
    _, _, directions = np.linalg.svd(tokens - tokens.mean(axis=0), full_matrices=False)
    wanted = directions[1:7].T
    projection = encoder.projection.astype(np.float64)
    np.testing.assert_allclose(projection @ projection.T, wanted @ wanted.T, atol=1e-5)
    np.testing.assert_allclose(projection.T @ projection, np.eye(6), atol=1e-5)
    assert encoder.mean is not None
    np.testing.assert_allclose(encoder.mean, tokens.mean(axis=0), rtol=1e-6)
    kept = fit_encoder(sets, model="", dims=6, drop=0).projection
    assert kept is not None
    np.testing.assert_allclose(kept @ kept.T, directions[:6].T @ directions[:6], atol=1e-5)


def test_the_rotation_changes_no_inner_product_and_spreads_the_variance() -> None:
    sets = some_sets()
    a, b = (fit_encoder(sets, model="", dims=6, seed=seed) for seed in (0, 1))
    assert a.fingerprint != b.fingerprint
    x, y = (encoder.encode(sets[0]).astype(np.float64) for encoder in (a, b))
    np.testing.assert_allclose(x @ x.T, y @ y.T, atol=0.3, rtol=2e-3)
    plain = np.concatenate(sets) @ np.linalg.svd(np.concatenate(sets) - 5, full_matrices=False)[2][1:7].T
    rotated = np.concatenate([a.encode(tokens) for tokens in sets]).astype(np.float64)
    assert np.ptp(rotated.var(axis=0)) < np.ptp(plain.var(axis=0))


def test_the_same_sample_gives_the_same_encoder() -> None:
    assert fit_encoder(some_sets(), model="m").to_bytes() == fit_encoder(some_sets(), model="m").to_bytes()


def test_a_large_common_offset_costs_no_precision() -> None:
    """The variance of tokens around 1000 is found as well as around 0: sums are shifted before they are squared."""
    sets = [tokens - 5 for tokens in some_sets()]
    far = [(tokens.astype(np.float64) + 1000).astype(np.float32) for tokens in sets]
    near = [(tokens.astype(np.float64) - 1000).astype(np.float32) for tokens in far]
    a, b = fit_encoder(near, model="", dims=5).projection, fit_encoder(far, model="", dims=5).projection
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(a, b, atol=1e-5)


class TestDimensions:
    def test_no_more_than_the_sample_spans(self) -> None:
        assert fit_encoder(some_sets(d=20), model="", dims=256).dims == 19
        assert fit_encoder(some_sets(d=20), model="", dims=256, drop=0).dims == 20
        assert fit_encoder(some_sets(count=1, n=5, d=20), model="").dims == 3

    def test_the_only_direction_is_not_dropped(self) -> None:
        line = np.arange(5, dtype=np.float32)[:, None] * np.ones(4, dtype=np.float32)
        assert fit_encoder([line], model="").dims == 1

    def test_none_keeps_tokens_as_they_are(self) -> None:
        sets = some_sets()
        encoder = fit_encoder(sets, model="", dims=None)
        assert (encoder.mean, encoder.projection, encoder.dims) == (None, None, 20)
        assert np.array_equal(encoder.encode(sets[0]), sets[0].astype(np.float16))
        assert encoder.coarse_basis.shape == (20, 20)

    def test_sizes_of_sets_may_differ_and_be_zero(self) -> None:
        sets = [tokens[:size] for size, tokens in zip((3, 0, 16, 1), some_sets(), strict=False)]
        encoder = fit_encoder(sets, model="", dims=4)
        assert [encoder.encode(tokens).shape for tokens in sets] == [(3, 4), (0, 4), (16, 4), (1, 4)]


class TestSigma:
    def test_it_is_the_root_of_the_median_squared_matched_distance(self) -> None:
        """Against all matchings of four tokens, one by one."""
        sets = some_sets(count=5, n=4)
        encoder = fit_encoder(sets, model="", dims=8)
        encoded = [encoder.encode(tokens).astype(np.float64) for tokens in sets]
        distances = [
            min(sum(np.square(q[i] - x[j]).sum() for i, j in enumerate(order)) for order in permutations(range(4)))
            for index, q in enumerate(encoded)
            for x in encoded[index + 1 :]
        ]
        assert encoder.sigma == pytest.approx(math.sqrt(np.median(distances)), rel=1e-9)

    def test_unmatched_tokens_count_with_their_norm(self) -> None:
        one, two = np.array([[3.0, 0]], dtype=np.float32), np.array([[3.0, 0], [0, 4.0]], dtype=np.float32)
        assert fit_encoder([one, two], model="", dims=None).sigma == pytest.approx(4.0)

    def test_a_single_image_is_compared_with_an_unrelated_one_of_its_norm(self) -> None:
        tokens = np.array([[3.0, 0], [0, 4.0]], dtype=np.float32)
        assert fit_encoder([tokens], model="", dims=None).sigma == pytest.approx(math.sqrt(50))
        assert fit_encoder([tokens, tokens], model="", dims=None).sigma == pytest.approx(math.sqrt(50))

    def test_zeros_have_a_width_too(self) -> None:
        assert fit_encoder([np.zeros((2, 3), dtype=np.float32)] * 2, model="", dims=None).sigma == 1.0


def test_coarse_basis_holds_the_leading_right_singular_vectors() -> None:
    sets = some_sets(d=100, n=40)
    encoder = fit_encoder(sets, model="", dims=80)
    encoded = np.concatenate([encoder.encode(tokens) for tokens in sets]).astype(np.float64)
    _, _, vectors = np.linalg.svd(encoded, full_matrices=False)
    basis = encoder.coarse_basis.astype(np.float64)
    assert basis.shape == (80, 64)
    np.testing.assert_allclose(basis.T @ basis, np.eye(64), atol=1e-5)
    np.testing.assert_allclose(np.abs((basis * vectors[:64].T).sum(axis=0)), 1, atol=1e-3)
    assert (basis[np.abs(basis).argmax(axis=0), np.arange(64)] > 0).all()


class TestRefusals:
    def test_no_tokens(self) -> None:
        for sets in ([], [np.zeros((0, 4), dtype=np.float32)]):
            with pytest.raises(InvalidInput, match="cannot be fitted to no tokens; give at least one image"):
                fit_encoder(sets, model="")

    def test_equal_tokens(self) -> None:
        with pytest.raises(InvalidInput, match="all tokens of the sample are equal; give more images"):
            fit_encoder([np.full((5, 4), 3, dtype=np.float32)] * 3, model="")

    def test_mixed_dimensions(self) -> None:
        with pytest.raises(FeatureError, match=r"mixes sets of 4 numbers a token with one of shape \(2, 5\)"):
            fit_encoder([np.ones((2, 4), dtype=np.float32), np.ones((2, 5), dtype=np.float32)], model="")

    def test_numbers_that_are_not_finite(self) -> None:
        with pytest.raises(FeatureError, match="the sample holds NaN or infinity"):
            fit_encoder([np.array([[1, np.nan]], dtype=np.float32)], model="")

    @pytest.mark.parametrize(("dims", "drop"), [(0, 1), (-3, 1), (4, -1)])
    def test_senseless_numbers(self, dims: int, drop: int) -> None:
        with pytest.raises(InvalidInput, match="dims must be at least 1 and drop at least 0"):
            fit_encoder(some_sets(), model="", dims=dims, drop=drop)


def test_an_encoder_is_itself_only() -> None:
    """Encoders are compared by fingerprint; `==` would be ambiguous on arrays."""
    a: Encoder = fit_encoder(some_sets(), model="")
    b = Encoder.from_bytes(a.to_bytes())
    assert a != b
    assert a.fingerprint == b.fingerprint
