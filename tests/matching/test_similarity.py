"""Similarities of pairs and of whole collections in memory, by their definition, on every path."""

from __future__ import annotations

import math

import numpy as np
import pytest
from families import PHOTOS, SETS
from hypothesis import given, settings
from hypothesis import strategies as st

from setwise_engine.errors import FeatureError, InvalidInput
from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching import Kernel, match, maxsim, reference, score, similarity, similarity_matrix
from setwise_engine.matching._paths import available, use
from setwise_engine.matching._scores import weighted_cosines, within_one

every_path = pytest.mark.parametrize("path", available())
every_kernel = pytest.mark.parametrize("kernel", Kernel)

SIZES = [7, 1, 12, 0, 12, 30]
SETS_OF_PHOTOS = [PHOTOS[i % 10][:n] for i, n in enumerate(SIZES)] + [np.zeros((4, 32), np.float16)]


def defined(q: np.ndarray, x: np.ndarray, kernel: Kernel, sigma: float) -> float:
    """The oracle, from the reference alone."""
    A, norms = reference.affinity(q, x), {"q_square": reference.square(q), "x_square": reference.square(x)}
    if kernel is Kernel.CONTAINMENT:
        return within_one(reference.assign(weighted_cosines(A, reference.squares(q), reference.squares(x))).value)
    return score(reference.assign(A).value, **norms, kernel=kernel, sigma=sigma)


@every_path
@every_kernel
def test_a_matrix_holds_the_defined_similarities_to_the_bit(path: str, kernel: Kernel) -> None:
    expected = [[defined(q, x, kernel, 20.0) for x in SETS_OF_PHOTOS] for q in SETS_OF_PHOTOS]
    with use(path):
        whole = similarity_matrix(SETS_OF_PHOTOS, kernel=kernel, sigma=20.0)
        part = similarity_matrix(SETS_OF_PHOTOS[:2], SETS_OF_PHOTOS, kernel=kernel, sigma=20.0, threads=2)
        pair = similarity(SETS_OF_PHOTOS[2], SETS_OF_PHOTOS[5], kernel=kernel, sigma=20.0)
    assert whole.dtype == np.float64
    assert whole.tolist() == expected
    assert part.tolist() == expected[:2]
    assert pair == expected[2][5]


@every_path
@pytest.mark.parametrize("family", SETS)
@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (4, 9), (9, 4), (20, 20)])
def test_every_family_of_sets_on_every_path(path: str, family: str, shape: tuple[int, int]) -> None:
    q, x = SETS[family](np.random.default_rng(1), *shape)
    expected = [defined(q, x, kernel, 1e4) for kernel in Kernel]
    with use(path):
        assert [similarity(q, x, kernel=kernel, sigma=1e4) for kernel in Kernel] == expected


@pytest.mark.slow
@pytest.mark.parametrize("family", SETS)
def test_many_pairs_of_sets_on_every_path(family: str) -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        q, x = SETS[family](rng, int(rng.integers(1, 40)), int(rng.integers(1, 40)))
        expected = [defined(q, x, kernel, 10.0) for kernel in Kernel]
        for path in available():
            with use(path):
                assert [similarity(q, x, kernel=kernel, sigma=10.0) for kernel in Kernel] == expected


@given(st.sampled_from(sorted(SETS)), st.integers(0, 9), st.integers(0, 9), st.integers(0, 99))
@settings(deadline=None)
def test_match_and_similarity_agree(family: str, n: int, m: int, seed: int) -> None:
    q, x = SETS[family](np.random.default_rng(seed), n, m)
    scores = match(q, x, sigma=3.0).scores
    for kernel in (Kernel.COSINE, Kernel.INNER_PRODUCT, Kernel.RBF):
        assert similarity(q, x, kernel=kernel, sigma=3.0) == getattr(scores, kernel.value)
    assert maxsim(q, x) == (scores.maxsim_query, scores.maxsim_hit)


def test_maxsim_adds_the_best_of_every_token() -> None:
    q, x = PHOTOS[0][:5], PHOTOS[1][:8]
    A = reference.affinity(q, x)
    norms = math.sqrt(reference.square(q) * reference.square(x))
    assert maxsim(q, x, kernel="inner_product") == (math.fsum(A.max(axis=1)), math.fsum(A.max(axis=0)))
    assert maxsim(q, x) == pytest.approx((A.max(axis=1).sum() / norms, A.max(axis=0).sum() / norms))
    with pytest.raises(InvalidInput, match="MaxSim has no kernel rbf"):
        maxsim(q, x, kernel=Kernel.RBF)


def test_arrays_and_feature_sets_in_any_float_are_the_same() -> None:
    q, x = PHOTOS[0], PHOTOS[1][::2]
    value = similarity(q, x)
    for a in (q, q.astype(np.float32), np.asfortranarray(q), FeatureSet(q), FeatureSet(q.astype(np.float32))):
        assert similarity(a, x) == value
        assert match(a, x, sigma=1.0).scores.cosine == value
    assert similarity_matrix(PHOTOS[:3]).tolist() == similarity_matrix(list(PHOTOS[:3])).tolist()


def test_progress_counts_pairs() -> None:
    seen: list[tuple[int, int]] = []
    similarity_matrix(list(PHOTOS[:4, :5]), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 10), (7, 10), (9, 10), (10, 10)]
    seen.clear()
    similarity_matrix(
        list(PHOTOS[:2, :5]), list(PHOTOS[:3, :5]), progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(3, 6), (6, 6)]


def test_nothing_to_compare_is_no_error() -> None:
    assert similarity_matrix([]).shape == (0, 0)
    assert similarity_matrix([], [PHOTOS[0]]).shape == (0, 1)
    assert similarity_matrix([PHOTOS[0]], []).shape == (1, 0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: similarity(PHOTOS[0], PHOTOS[1], kernel="dice"),
            InvalidInput,
            "kernel is 'dice'; ask for one of cosine",
        ),
        (lambda: similarity(PHOTOS[0], PHOTOS[1], kernel="rbf"), InvalidInput, "give sigma"),
        (lambda: similarity(PHOTOS[0], PHOTOS[1], kernel="rbf", sigma=-1.0), InvalidInput, "sigma is -1.0"),
        (lambda: similarity(PHOTOS[0], PHOTOS[1], kernel="rbf", sigma=math.nan), InvalidInput, "sigma is nan"),
        (
            lambda: similarity(PHOTOS[0], PHOTOS[1][:, :5]),
            FeatureError,
            r"b\[0\] has tokens of 5 numbers, others of 32",
        ),
        (lambda: similarity_matrix([PHOTOS[0], PHOTOS[1][:, :5]]), FeatureError, r"a\[1\] has tokens of 5"),
        (lambda: similarity_matrix([PHOTOS[0], np.zeros(3)]), FeatureError, r"a\[1\]: tokens have shape \(3,\)"),
        (lambda: similarity(PHOTOS[0], np.full((2, 32), np.nan, np.float32)), FeatureError, r"b\[0\]: .* NaN"),
        (lambda: similarity(PHOTOS[0], np.full((2, 32), 1e6, np.float32)), FeatureError, "65504"),
        (lambda: similarity_matrix([PHOTOS[0]], threads=0), InvalidInput, "threads is 0"),
        (lambda: match(PHOTOS[0], np.zeros((2, 3), np.float64)), FeatureError, "dtype float64"),
        (lambda: match(PHOTOS[0], PHOTOS[1][:, :5]), FeatureError, "tokens of 32 numbers and the other of 5"),
    ],
)
@every_path
def test_refuses_what_makes_no_sense(path: str, call, error: type[Exception], message: str) -> None:
    with use(path), pytest.raises(error, match=message):
        call()
