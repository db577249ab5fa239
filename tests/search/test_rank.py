"""The ranking of candidates: the same to the bit with and without pruning, whatever their order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from setwise_engine.errors import CancelledError
from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching import Kernel, match
from setwise_engine.search import Options
from setwise_engine.search._contender import Given
from setwise_engine.search._rank import Ranking, no_check, rank

KERNELS = [Kernel.COSINE, Kernel.INNER_PRODUCT, Kernel.RBF]
numbers = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0**-24, 300.0]), st.floats(-100, 100, width=16, allow_subnormal=True)
)


@st.composite
def feature_sets(draw: st.DrawFn, dims: int = 2) -> FeatureSet:
    return FeatureSet(draw(arrays(np.float16, (draw(st.integers(0, 4)), dims), elements=numbers)))


@st.composite
def contenders(draw: st.DrawFn) -> list[Given]:
    """Candidates of which many are equal or permutations of one another, so that scores tie."""
    kinds = draw(st.lists(feature_sets(), min_size=1, max_size=5))
    chosen = draw(st.lists(st.sampled_from(kinds), max_size=16))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    ids = draw(st.permutations([f"{'é' * (i % 2)}{i:02}" for i in range(len(chosen))]))
    return [Given(id, FeatureSet(rng.permutation(s.tokens))) for id, s in zip(ids, chosen, strict=True)]


def seen(ranking: Ranking) -> list[tuple[str, float]]:
    return [(one.contender.id, one.score) for one in ranking.best]


def expected(query: FeatureSet, candidates: list[Given], options: Options, sigma: float) -> list[tuple[str, float]]:
    """The oracle: every candidate scored by the reference, sorted by score and then by the bytes of the id."""
    scored = [(c.id, getattr(match(query, c.set, sigma=sigma).scores, options.kernel.value)) for c in candidates]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0].encode()))[: options.k]


@given(feature_sets(), contenders(), st.integers(1, 6), st.sampled_from(KERNELS), st.sampled_from([0.01, 1.0, 1e4]))
def test_pruning_and_order_change_no_bit(
    query: FeatureSet, candidates: list[Given], k: int, kernel: Kernel, sigma: float
) -> None:
    options = Options(k=k, kernel=kernel)
    plain = rank(query, candidates, options, sigma=sigma, check=no_check, prune=False)
    assert plain.pruned == 0
    for order in (candidates, candidates[::-1]):
        ranking = rank(query, order, options, sigma=sigma, check=no_check)
        assert seen(ranking) == seen(plain)
        assert ranking.pruned + ranking.solved == len(candidates)
        if ranking.pruned:
            assert ranking.highest_pruned_bound is not None
            assert ranking.highest_pruned_bound < ranking.best[-1].score
    assert seen(plain) == expected(query, candidates, options, sigma)


@given(feature_sets(), contenders(), st.integers(1, 6), st.sampled_from(KERNELS), st.floats(-2.0, 2.0))
def test_a_least_score_rules_out_only_what_lies_below_it(
    query: FeatureSet, candidates: list[Given], k: int, kernel: Kernel, least: float
) -> None:
    everything = rank(query, candidates, Options(k=k, kernel=kernel), sigma=1.0, check=no_check, prune=False)
    ranking = rank(query, candidates, Options(k=k, kernel=kernel, min_score=least), sigma=1.0, check=no_check)
    assert [s for s in seen(ranking) if s[1] >= least] == [s for s in seen(everything) if s[1] >= least]


def real_like(seed: int, count: int, tokens: int = 30, dims: int = 32) -> tuple[FeatureSet, list[Given]]:
    rng = np.random.default_rng(seed)
    parts = rng.standard_normal((20, 6, dims)) * 2

    def image() -> FeatureSet:
        chosen = np.concatenate(parts[rng.choice(20, 5, replace=False)])
        return FeatureSet((chosen + rng.standard_normal((tokens, dims))).astype(np.float16))

    return image(), [Given(f"{i:04}", image()) for i in range(count)]


@pytest.mark.parametrize("kernel", KERNELS)
def test_most_candidates_are_pruned_when_a_few_stand_out(kernel: Kernel) -> None:
    query, candidates = real_like(0, 120)
    ranking = rank(query, candidates, Options(k=3, kernel=kernel), sigma=20.0, check=no_check)
    plain = rank(query, candidates, Options(k=3, kernel=kernel), sigma=20.0, check=no_check, prune=False)
    assert seen(ranking) == seen(plain)
    assert ranking.pruned > 40


def test_a_least_score_prunes_before_the_places_are_filled() -> None:
    query, candidates = real_like(1, 40)
    ranking = rank(query, candidates, Options(k=40, min_score=0.99), sigma=1.0, check=no_check)
    assert ranking.pruned == 40
    assert ranking.best == []


def test_the_caller_is_asked_often_whether_it_still_waits() -> None:
    query, candidates = real_like(2, 40)
    calls = 0

    def gone() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise CancelledError("the caller has gone")

    with pytest.raises(CancelledError):
        rank(query, candidates, Options(k=3), sigma=1.0, check=gone)
    assert calls == 3
