"""The matcher experiment: losses against brute force, costs of the right things, and a verdict by them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_evaluation.experiments.matchers import Cost, Quality, _times, quality, times, variants_for, verdict
from setwise_evaluation.experiments.matchers._verdict import of_the_rsm


def tokens(images: int, count: int) -> NDArray[np.float32]:
    return np.random.default_rng([images, count]).normal(size=(images, count, 6)).astype(np.float32)


def brute_force(q: NDArray[np.float32], x: NDArray[np.float32]) -> float:
    A = q.astype(np.float64) @ x.T
    return max(sum(A[i, j] for i, j in enumerate(p)) for p in itertools.permutations(range(len(A))))


def slow_greedy(q: NDArray[np.float32], x: NDArray[np.float32]) -> float:
    A, total = q.astype(np.float64) @ x.T, 0.0
    for _ in range(len(A)):
        i, j = np.unravel_index(A.argmax(), A.shape)
        total += A[i, j]
        A[i, :] = A[:, j] = -np.inf
    return total


def test_the_loss_is_what_brute_force_finds_to_be_missing() -> None:
    sets = tokens(4, 6)
    pairs = list(itertools.combinations(sets, 2))
    best = np.array([brute_force(q, x) for q, x in pairs])
    greedy = np.array([slow_greedy(q, x) for q, x in pairs])
    found = {one.matcher: one for one in quality(sets)}
    assert found["exact"].loss == pytest.approx(0.0, abs=1e-6)
    assert found["greedy"].pairs == len(pairs)
    assert found["greedy"].loss == pytest.approx(np.median(1.0 - greedy / best), rel=1e-6)
    assert found["greedy"].worst == pytest.approx(np.max(1.0 - greedy / best), rel=1e-6)
    assert found["greedy"].certified > found["greedy"].loss


def test_rsms_are_compared_where_there_are_images_enough_and_baselines_have_no_loss() -> None:
    few, many = quality(tokens(3, 4)), quality(tokens(11, 4))
    assert all(one.pearson is None for one in few)
    assert {one.matcher for one in many if one.pearson is None} == {"exact"}
    assert all(0.3 < one.spearman <= 1.0 for one in many if one.matcher in ("greedy", "Sinkhorn"))
    assert {one.matcher for one in many if one.loss is None} == {"same positions", "Chamfer"}


def test_windows_and_tops_that_hold_all_tokens_are_left_out() -> None:
    assert [one.name for one in variants_for(128)] == ["exact", "greedy", "Sinkhorn"]
    assert len(variants_for(129)) == 5
    assert len(variants_for(4096)) == 9


def test_tokens_of_another_shape_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"tokens have shape \(1, 4, 6\)"):
        quality(tokens(1, 4))


def test_everything_is_timed_that_the_table_tells_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_times, "_SECONDS", 0.0)
    said: list[str] = []
    costs = {one.matcher: one for one in times(tokens(4, 140), progress=said.append)}
    assert {"exact", "greedy", "TopK-greedy 128", "batch-optimal 128", "Sinkhorn", "scipy"} < set(costs)
    assert {"certified bound alone", "exact, as an RSM does it"} < set(costs)
    assert set(said) == {"affinity", *costs}
    assert all(one.matching > 0.0 and one.tokens == 140 for one in costs.values())
    assert costs["exact"].total == pytest.approx(costs["exact"].affinity + costs["exact"].matching)
    assert costs["exact, as an RSM does it"].affinity is None


def test_packages_that_would_take_minutes_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_times, "_SECONDS", 0.0)
    slow = [Cost(5, "scipy", 0.0, 1.0)]
    assert "scipy" not in {one.matcher for one in times(tokens(2, 20), slow)}
    assert "scipy" in {one.matcher for one in times(tokens(2, 6), slow)}


def made(tokens: int, exact: float, greedy: float, rsm: float) -> list[Cost]:
    """Costs of matchings, with an affinity of 10 us."""
    return [
        Cost(tokens, "exact", 10e-6, exact),
        Cost(tokens, "greedy", 10e-6, greedy),
        Cost(tokens, "exact, as an RSM does it", None, rsm),
    ]


def lost(tokens: int, loss: float) -> Quality:
    return Quality(tokens, "greedy", 3, loss, loss, loss, None, None)


def test_the_verdict_says_from_where_on_an_approximation_saves_half() -> None:
    costs = [*made(49, 10e-6, 5e-6, 18e-6), *made(256, 990e-6, 90e-6, 0.8e-3), *made(1024, 0.1, 2e-3, 0.05)]
    words = "\n".join(verdict([lost(49, 0.02), lost(256, 0.03), lost(1024, 0.004)], costs))
    assert "The matching alone: at 49 tokens 10 µs exact (greedy 5 µs)" in words
    assert "49 tokens: the cheapest approximation is greedy, 15 µs a pair with its affinity, and loses 2 %" in words
    assert "exact takes 20 µs so, and 18 µs as an RSM does it: the approximation is 17 % cheaper" in words
    assert "greedy saves half of a pair's time or more from 256 tokens on, and loses 3 % to 0.4 %" in words
    assert "at most 1 % of the optimum lost: greedy at 1024 tokens" in words


def test_the_agreement_of_rsms_is_told_with_its_range() -> None:
    found = [
        Quality(49, "greedy", 45, 0.1, 0.1, 0.1, 0.99, 0.98),
        Quality(100, "Sinkhorn", 45, 0.1, 0.1, 0.1, 0.999, 0.98),
        Quality(49, "Chamfer", 45, None, None, None, 0.9, 0.8),
    ]
    [words] = of_the_rsm(found)
    assert words.endswith("approximations 0.990 to 0.999 (Spearman 0.980); Chamfer 0.900 (Spearman 0.800).")
    assert of_the_rsm([lost(49, 0.1)]) == []


def test_the_verdict_says_when_none_pays_and_when_a_loss_is_unknown() -> None:
    words = "\n".join(verdict([], made(49, 10e-6, 30e-6, 20e-6)))
    assert "loses an unknown share of the optimum" in words
    assert "greedy does not pay: at best, at 49 tokens, it is 100 % dearer" in words
    assert "Nowhere is half of a pair's time saved and no more than 1 %" in words
