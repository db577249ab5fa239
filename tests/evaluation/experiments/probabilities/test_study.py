"""Correlations of similarities with predictions, against scipy and the definitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import pearsonr, spearmanr

from setwise_engine.errors import InvalidInput
from setwise_evaluation.classifiers import softmax
from setwise_evaluation.divergence import jensen_shannon, jensen_shannon_matrix
from setwise_evaluation.experiments.probabilities import Agreement, agreement, similarities
from setwise_evaluation.experiments.probabilities._study import KERNELS, METHODS, one_way
from setwise_evaluation.rsm import Rsm, rsm

IMAGES = 24
NAMES = ("pooled", "spatio-semantic", "maxsim", "chamfer", "semantic")


@dataclass(frozen=True)
class Seen:
    tokens: NDArray[np.float32]
    probabilities: NDArray[np.float64]


@pytest.fixture(scope="module")
def seen() -> Seen:
    """Images of a few of eight things at random places, and a classifier that is linear in the mean token."""
    rng = np.random.default_rng(0)
    things = rng.normal(size=(8, 12))
    chosen = rng.choice(8, p=np.arange(1, 9) / 36.0, size=(IMAGES, 9))
    tokens = (things[chosen] + 0.3 * rng.normal(size=(IMAGES, 9, 12))).astype(np.float32)
    return Seen(tokens, softmax(tokens.mean(axis=1) @ rng.normal(size=(12, 5))))


@pytest.fixture(scope="module")
def rsms(seen: Seen) -> dict[str, Rsm]:
    return similarities(seen.tokens)


@pytest.fixture(scope="module")
def found(seen: Seen, rsms: dict[str, Rsm]) -> Agreement:
    return agreement(rsms, jensen_shannon_matrix(seen.probabilities), resamples=200)


def matched_sum(name: str, q: Any, x: Any) -> float:
    """By definition, one pair at a time."""
    inner = q @ x.T
    match name:
        case "pooled":
            return float(q.mean(axis=0) @ x.mean(axis=0))
        case "spatio-semantic":
            return float(np.trace(inner))
        case "maxsim":
            return float(inner.max(axis=1).sum())
        case "chamfer":
            return float(inner.max(axis=1).sum() + inner.max(axis=0).sum()) / 2
        case _:
            return float(inner[linear_sum_assignment(inner, maximize=True)].sum())


@pytest.mark.parametrize("name", NAMES)
def test_every_similarity_is_what_its_name_says(seen: Seen, rsms: dict[str, Rsm], name: str) -> None:
    tokens = seen.tokens.astype(np.float64)
    expected = [[matched_sum(name, q, x) for x in tokens[:6]] for q in tokens[:6]]
    np.testing.assert_allclose(rsms[name].read("inner_product")[:6, :6], expected, rtol=1e-5, atol=1e-5)
    assert tuple(rsms) == NAMES


def test_chamfer_is_that_of_the_matchers(seen: Seen, rsms: dict[str, Rsm]) -> None:
    np.testing.assert_allclose(rsms["chamfer"].sums, rsm(seen.tokens, matching="chamfer").sums, rtol=1e-12)
    assert rsms["chamfer"].matching == "chamfer"


@pytest.mark.parametrize("name", NAMES)
def test_correlations_are_scipys_over_all_pairs_of_two_images(
    seen: Seen, rsms: dict[str, Rsm], found: Agreement, name: str
) -> None:
    pairs = [(i, j) for i in range(IMAGES) for j in range(i + 1, IMAGES)]
    alike = [-jensen_shannon(seen.probabilities[i], seen.probabilities[j]) for i, j in pairs]
    for kernel in KERNELS:
        values = rsms[name].read(kernel)
        similar = [values[i, j] for i, j in pairs]
        pearson, spearman = (found.correlations[method, name, kernel.value] for method in METHODS)
        assert pearson.value == pytest.approx(pearsonr(similar, alike).statistic, abs=1e-9)
        assert spearman.value == pytest.approx(spearmanr(similar, alike).statistic, abs=1e-9)
        assert pearson.low <= pearson.value <= pearson.high


def test_differences_are_paired(found: Agreement) -> None:
    """Their intervals are shorter than those of correlations that were resampled each on its own."""
    for method in METHODS:
        semantic = found.correlations[method, "semantic", "cosine"]
        other = found.correlations[method, "chamfer", "cosine"]
        apart = found.differences[method, "chamfer", "cosine"]
        assert apart.value == pytest.approx(semantic.value - other.value)
        assert apart.low <= apart.value <= apart.high
        unpaired = np.hypot(semantic.high - semantic.low, other.high - other.low)
        assert apart.high - apart.low < unpaired
    assert ("pearson", "semantic", "cosine") not in found.differences


def test_things_at_random_places_are_seen_by_matching_them(found: Agreement) -> None:
    """What the paper reports, on a toy: with things anywhere, semantic similarity agrees better in every kernel."""
    for kernel in KERNELS:
        assert found.differences["pearson", "spatio-semantic", kernel.value].low > 0.0


def test_the_order_of_tokens_matters_to_spatio_semantic_similarity_only(seen: Seen, found: Agreement) -> None:
    rng = np.random.default_rng(1)
    mixed = np.stack([tokens[rng.permutation(len(tokens))] for tokens in seen.tokens])
    again = agreement(similarities(mixed), found.divergence, resamples=20)
    for (method, name, kernel), one in found.correlations.items():
        same = again.correlations[method, name, kernel].value == pytest.approx(one.value, abs=1e-6)
        assert same == (name != "spatio-semantic")


def test_the_same_seed_gives_the_same_bits_and_threads_do_not_matter(seen: Seen, found: Agreement) -> None:
    again = agreement(similarities(seen.tokens, threads=2), found.divergence, resamples=200)
    assert again.correlations == found.correlations
    assert again.differences == found.differences
    other = agreement(similarities(seen.tokens), found.divergence, resamples=200, seed=2)
    key = ("pearson", "semantic", "cosine")
    assert other.correlations[key].value == found.correlations[key].value
    assert other.correlations[key].low != found.correlations[key].low


def test_sigma_is_each_similarities_own_median_distance(rsms: dict[str, Rsm], found: Agreement) -> None:
    upper = np.triu_indices(IMAGES, 1)
    for name in ("pooled", "spatio-semantic", "semantic"):
        one = rsms[name]
        distances = one.row_squares[:, None] + one.row_squares - 2 * one.sums
        assert found.sigmas[name] ** 2 == pytest.approx(np.median(np.maximum(distances[upper], 0.0)))


def test_maxsim_goes_one_way() -> None:
    matrix = np.array([[1.0, 2.0, 3.0], [9.0, 4.0, 5.0], [9.0, 9.0, 6.0]])
    np.testing.assert_array_equal(one_way(matrix), [[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 6.0]])


def test_a_similarity_without_a_sigma_has_no_rbf() -> None:
    """One token that all others point along: MaxSim takes it for every one, so that distances would be negative."""
    rng = np.random.default_rng(3)
    tokens = 1.0 + 0.1 * rng.normal(size=(IMAGES, 9, 12)).astype(np.float32)
    tokens[:, 0] *= 3.0
    divergence = jensen_shannon_matrix(softmax(tokens.mean(axis=1)))
    found = agreement(similarities(tokens), divergence, resamples=20)
    assert "sigma" in found.left_out["maxsim"]
    assert ("pearson", "maxsim", "rbf") not in found.correlations
    assert ("pearson", "maxsim", "cosine") in found.correlations
    assert ("pearson", "spatio-semantic", "rbf") in found.differences


def test_progress(seen: Seen, rsms: dict[str, Rsm], found: Agreement) -> None:
    told: list[Any] = []
    similarities(seen.tokens[:3], progress=lambda *said: told.append(said))
    assert {name for name, _, _ in told} == set(NAMES) - {"chamfer"}, "which is read from MaxSim"
    assert all(done <= total for _, done, total in told)
    told.clear()
    agreement(rsms, found.divergence, resamples=20, progress=lambda *said: told.append(said))
    assert told[-1] == (30, 30)


def test_a_semantic_similarity_is_needed(rsms: dict[str, Rsm], found: Agreement) -> None:
    with pytest.raises(InvalidInput, match="there is no semantic similarity among pooled"):
        agreement({"pooled": rsms["pooled"]}, found.divergence)


def test_predictions_that_are_all_the_same_correlate_with_nothing(rsms: dict[str, Rsm]) -> None:
    with pytest.raises(InvalidInput, match="constant"):
        agreement(rsms, np.zeros((IMAGES, IMAGES)), resamples=20)
