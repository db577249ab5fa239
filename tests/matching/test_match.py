"""Every score of two sets, by its definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from setwise_engine.errors import FeatureError, InvalidInput
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize
from setwise_engine.matching import Kernel, affinity, assign, containment, match, score, token_boxes

numbers = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0**-24, 65504.0]),
    st.floats(width=16, allow_nan=False, allow_infinity=False),
)


@st.composite
def pairs_of_sets(draw: st.DrawFn) -> tuple[FeatureSet, FeatureSet]:
    d = draw(st.integers(1, 4))
    q, x = (draw(arrays(np.float16, (draw(st.integers(0, 7)), d), elements=numbers)) for _ in range(2))
    return FeatureSet(q), FeatureSet(x)


def random_set(seed: int, n: int = 6, d: int = 8, grid: Grid | None = None) -> FeatureSet:
    return FeatureSet(np.random.default_rng(seed).standard_normal((n, d)).astype(np.float16), grid=grid)


def test_three_kernels_read_one_matching() -> None:
    q, x = random_set(0), random_set(1, n=9)
    L = assign(affinity(q.tokens, x.tokens)).value
    q_norm, x_norm = (np.linalg.norm(s.tokens.astype(float)) for s in (q, x))
    scores = match(q, x, sigma=3.0).scores
    assert scores.inner_product == pytest.approx(L, rel=1e-14)
    assert scores.cosine == pytest.approx(L / (q_norm * x_norm), rel=1e-14)
    assert scores.rbf == pytest.approx(math.exp(-(q_norm**2 + x_norm**2 - 2 * L) / 18.0), rel=1e-13)


@given(pairs_of_sets())
def test_scores_stay_in_range_and_never_divide_by_zero(sets: tuple[FeatureSet, FeatureSet]) -> None:
    scores = match(*sets, sigma=1.0).scores
    assert -1.0 <= scores.cosine <= 1.0
    assert 0.0 <= scores.rbf <= 1.0
    assert -1.0 <= scores.pooled <= 1.0
    assert -1.0 <= containment(sets[0].tokens, sets[1].tokens) <= 1.0
    assert all(math.isfinite(value) for value in (scores.inner_product, scores.maxsim_query, scores.maxsim_hit))


@given(pairs_of_sets())
def test_the_smaller_side_of_maxsim_bounds_the_cosine(sets: tuple[FeatureSet, FeatureSet]) -> None:
    q, x = sets
    scores = match(q, x, sigma=1.0).scores
    within = 1e-13 * max(1.0, abs(scores.maxsim_query), abs(scores.maxsim_hit))
    if len(q) <= len(x):
        assert scores.cosine <= scores.maxsim_query + within
    if len(x) <= len(q):
        assert scores.cosine <= scores.maxsim_hit + within


@given(
    arrays(np.float16, st.tuples(st.integers(1, 7), st.integers(1, 5)), elements=numbers),
    st.randoms(use_true_random=False),
)
def test_a_set_with_itself_in_any_order_scores_exactly_one(tokens: np.ndarray, random) -> None:
    shuffled = tokens[random.sample(range(len(tokens)), len(tokens))]
    scores = match(FeatureSet(tokens), FeatureSet(shuffled), sigma=1.0).scores
    if tokens.any():
        assert scores.cosine == scores.rbf == 1.0
    else:
        assert scores.cosine == 0.0


@given(pairs_of_sets(), st.randoms(use_true_random=False))
def test_order_and_direction_change_nothing(sets: tuple[FeatureSet, FeatureSet], random) -> None:
    q, x = sets
    shuffled = FeatureSet(x.tokens[random.sample(range(len(x)), len(x))])
    a, b, c = (match(*pair, sigma=1e4).scores for pair in ((q, x), (q, shuffled), (x, q)))
    close = {"rel_tol": 1e-12, "abs_tol": 1e-13}
    for name in ("cosine", "rbf", "pooled"):
        assert math.isclose(getattr(a, name), getattr(b, name), **close)
        assert math.isclose(getattr(a, name), getattr(c, name), **close)
    assert math.isclose(a.maxsim_query, c.maxsim_hit, **close)


def test_tied_matchings_and_any_order_give_the_same_bits() -> None:
    rng = np.random.default_rng(3)
    tokens = rng.standard_normal((20, 64)).astype(np.float16)
    q, x = np.repeat(tokens[:10], 3, axis=0), np.repeat(tokens[10:], 3, axis=0)
    values = {
        match(FeatureSet(rng.permutation(q)), FeatureSet(rng.permutation(x)), sigma=1.0).scores.cosine
        for _ in range(20)
    }
    assert len(values) == 1


@pytest.mark.parametrize("other", [np.zeros((4, 3)), np.zeros((0, 3))])
def test_zero_and_empty_sets_have_similarity_zero(other: np.ndarray) -> None:
    q, zero = random_set(0, d=3), FeatureSet(other.astype(np.float16))
    for scores in (match(q, zero, sigma=1.0).scores, match(zero, q, sigma=1.0).scores):
        assert scores.cosine == scores.inner_product == scores.maxsim_query == scores.maxsim_hit == scores.pooled == 0.0
    assert containment(q.tokens, zero.tokens) == containment(zero.tokens, q.tokens) == 0.0


def test_pairs_come_strongest_first_and_zero_tokens_have_cosine_zero() -> None:
    q = FeatureSet(np.array([[1, 0], [0, 3], [0, 0]], np.float16))
    x = FeatureSet(np.array([[0, 2], [1, 1], [2, 0]], np.float16))
    m = match(q, x, sigma=1.0)
    assert m.affinities.tolist() == [6.0, 2.0, 0.0]
    assert list(zip(m.rows.tolist(), m.columns.tolist(), strict=True)) == [(1, 0), (0, 2), (2, 1)]
    assert m.cosines.tolist() == [1.0, 1.0, 0.0]


def test_spatio_semantic_needs_equal_known_grids() -> None:
    grid = Grid(2, 3)
    q, x = random_set(0, grid=grid), random_set(1, grid=grid)
    scores = match(q, x, sigma=1.0).scores
    a, b = q.tokens.astype(float), x.tokens.astype(float)
    assert scores.spatio_semantic == pytest.approx((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b), rel=1e-13)
    assert scores.spatio_semantic <= scores.cosine
    for other in (None, Grid(3, 2)):
        assert match(q, random_set(1, grid=other), sigma=1.0).scores.spatio_semantic is None


def test_pooled_is_the_cosine_of_the_means() -> None:
    q, x = random_set(0), random_set(1, n=11)
    a, b = (s.tokens.astype(float).mean(axis=0) for s in (q, x))
    assert match(q, x, sigma=1.0).scores.pooled == pytest.approx(
        a @ b / np.linalg.norm(a) / np.linalg.norm(b), rel=1e-13
    )


@pytest.mark.parametrize("m", [4, 6, 9])
def test_containment_weighs_cosines_by_squared_norms(m: int) -> None:
    q, x = random_set(0).tokens, random_set(1, n=m).tokens
    a, b = q.astype(float), x.astype(float)
    squares = (a * a).sum(axis=1)
    cosines = (a @ b.T) / np.sqrt(np.outer(squares, (b * b).sum(axis=1)))
    weighted = squares[:, None] / squares.sum() * cosines
    assert containment(q, x) == pytest.approx(assign(weighted).value, rel=1e-12)


def test_a_part_is_contained_in_the_whole() -> None:
    whole = random_set(0, n=9).tokens
    assert containment(whole[[4, 1, 7]], whole) == pytest.approx(1.0, abs=1e-14)
    assert containment(whole, whole[[4, 1, 7]]) < 1.0


def test_a_width_of_zero_tells_equal_sets_from_all_others() -> None:
    same = {"q_square": 2.0, "x_square": 2.0, "kernel": Kernel.RBF, "sigma": 0.0}
    assert score(2.0, **same) == 1.0
    assert score(1.0, **same) == 0.0


def test_containment_is_no_reading_of_the_matched_sum() -> None:
    with pytest.raises(InvalidInput, match="containment"):
        score(1.0, q_square=1.0, x_square=1.0, kernel=Kernel.CONTAINMENT, sigma=1.0)


def test_float32_sets_are_rounded_as_a_collection_would() -> None:
    q, x = random_set(0), random_set(1)
    wide = FeatureSet(q.tokens.astype(np.float32) * np.float32(1 + 1e-5))
    assert match(wide, x, sigma=1.0).scores == match(q, x, sigma=1.0).scores
    with pytest.raises(FeatureError, match="65504"):
        match(FeatureSet(np.full((1, 8), 1e6, np.float32)), x, sigma=1.0)


def test_boxes_divide_the_original_evenly() -> None:
    boxes = token_boxes(Grid(2, 4), ImageSize(400, 100), np.array([0, 3, 4, 7]))
    assert boxes.dtype == np.float32
    assert boxes.tolist() == [[0, 0, 100, 50], [300, 0, 400, 50], [0, 50, 100, 100], [300, 50, 400, 100]]
    assert token_boxes(Grid(2, 4), ImageSize(400, 100), np.array([], np.intp)).shape == (0, 4)
    with pytest.raises(InvalidInput, match="2 x 4"):
        token_boxes(Grid(2, 4), ImageSize(400, 100), np.array([8]))
