"""Every similarity in every kernel, against its definition pair by pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from setwise_engine.errors import InvalidInput
from setwise_evaluation.experiments.retrieval import Reading, matched_sums_of, readings
from setwise_evaluation.experiments.retrieval._maxsim import maxsim_both_ways


def by_definition(name: str, q: np.ndarray, x: np.ndarray) -> float:
    """One sum of inner products, slowly, in float64."""
    A = q.astype(np.float64) @ x.astype(np.float64).T
    match name:
        case "pooled":
            return float(q.mean(axis=0, dtype=np.float64) @ x.mean(axis=0, dtype=np.float64))
        case "spatio-semantic":
            return float(np.trace(A))
        case "maxsim":
            return float(A.max(axis=1).sum())
        case "maxsim-image":
            return float(A.max(axis=0).sum())
        case "chamfer":
            return float(A.max(axis=1).sum() + A.max(axis=0).sum()) / 2
    rows, columns = linear_sum_assignment(A, maximize=True)
    return float(A[rows, columns].sum())


def drawn(seed: int, n: int, t: int, d: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1.0, (n, t, d)).astype(np.float32)


@settings(max_examples=15)
@given(st.integers(0, 999), st.integers(1, 5), st.integers(1, 6))
def test_sums_are_those_of_the_definitions(seed: int, t: int, d: int) -> None:
    queries, database = drawn(seed, 2, t, d), drawn(seed + 1, 3, t, d)
    sums = matched_sums_of(queries, database)
    assert set(sums) == {"pooled", "spatio-semantic", "maxsim", "maxsim-image", "chamfer", "semantic"}
    for name, matrix in sums.items():
        expected = [[by_definition(name, q, x) for x in database] for q in queries]
        np.testing.assert_allclose(matrix.sums, expected, rtol=1e-5, atol=1e-5)


def test_the_database_against_itself_is_the_same_as_two_copies() -> None:
    images = drawn(3, 4, 5, 6)
    alone, copies = matched_sums_of(images), matched_sums_of(images, images.copy())
    for name, matrix in alone.items():
        np.testing.assert_allclose(matrix.sums, copies[name].sums, rtol=1e-6, atol=1e-6)
        assert matrix.symmetric


def test_kernels_are_readings_of_the_sums() -> None:
    queries, database = drawn(1, 2, 4, 3), drawn(2, 3, 4, 3)
    sums = matched_sums_of(queries, database)
    found = readings(sums)
    L = sums["semantic"].sums
    norms = np.array([[np.linalg.norm(q) * np.linalg.norm(x) for x in database] for q in queries])
    np.testing.assert_allclose(found[Reading("semantic", "cosine")], L / norms, rtol=1e-6)
    squares = np.array([[(q**2).sum() + (x**2).sum() for x in database] for q in queries]) - 2 * L
    np.testing.assert_array_equal(
        np.argsort(-found[Reading("semantic", "rbf")], axis=1), np.argsort(squares, axis=1)
    )  # rbf ranks by distance, whatever its width


def test_sets_of_different_size_have_no_spatio_semantic_similarity() -> None:
    queries = [drawn(1, 1, t, 3)[0] for t in (2, 4)]
    database = [drawn(2, 1, t, 3)[0] for t in (3, 1, 5)]
    sums = matched_sums_of(queries, database)
    assert "spatio-semantic" not in sums
    for name, matrix in sums.items():
        expected = [[by_definition(name, q, x) for x in database] for q in queries]
        np.testing.assert_allclose(matrix.sums, expected, rtol=1e-5, atol=1e-5)


def test_a_store_keeps_the_sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, database = drawn(1, 2, 4, 3), drawn(2, 3, 4, 3)
    first = matched_sums_of(queries, database, store=tmp_path)

    def again(*args: Any, **options: Any) -> Any:
        raise AssertionError("computed twice")

    monkeypatch.setattr("setwise_evaluation.experiments.retrieval._similarities.maxsim_both_ways", again)
    second = matched_sums_of(queries, database, store=tmp_path)
    for name, matrix in first.items():
        np.testing.assert_array_equal(matrix.sums, second[name].sums)


def test_progress_is_told_for_each_matrix() -> None:
    told: list[tuple[str, int, int]] = []
    matched_sums_of(drawn(1, 2, 4, 3), drawn(2, 3, 4, 3), progress=lambda *what: told.append(what))
    assert ("maxsim", 6, 6) in told
    assert {name for name, done, total in told if done == total} == {"pooled", "spatio-semantic", "semantic", "maxsim"}


def test_a_set_without_tokens_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a set has no tokens"):
        maxsim_both_ways([np.zeros((0, 3), np.float32)], drawn(1, 1, 2, 3))


def test_where_half_of_the_distances_are_clamped_there_is_no_rbf() -> None:
    rng = np.random.default_rng(0)
    # One token of every image is huge, and every token of another image takes it: more than any matching could sum.
    images = np.abs(rng.normal(0.1, 0.01, (4, 5, 3))).astype(np.float32)
    images[:, 0] += 10
    found = readings(matched_sums_of(images[:2], images[2:]))
    assert Reading("maxsim", "rbf") not in found
    assert Reading("maxsim", "cosine") in found
    assert Reading("semantic", "rbf") in found
