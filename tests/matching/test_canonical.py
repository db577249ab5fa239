"""What is shown of several optimal matchings is the first, with the least prices, whichever a solver found."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from families import FAMILIES, PHOTOS, SETS, matrix

from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching import Assignment, Kernel, Ranker, assign, block_of, match, reference, verify
from setwise_engine.matching._canonical import settled
from setwise_engine.matching._describe import Describer
from setwise_engine.matching._integers import integers
from setwise_engine.matching._paths import available, use

every_family = pytest.mark.parametrize("family", FAMILIES)
every_path = pytest.mark.parametrize("path", available())


def as_columns(solved: Assignment, n: int) -> np.ndarray:
    columns = np.full(n, -1, np.int32)
    columns[solved.rows] = solved.columns
    return columns


def first(A: np.ndarray) -> list[int]:
    """The oracle: of all matchings of largest sum, tried in the order of their columns, the first."""
    k, _ = integers(A)
    orders = itertools.permutations(range(A.shape[1]), len(A))
    return list(max(orders, key=lambda p: sum(int(k[i, j]) for i, j in enumerate(p))))  # max keeps the first of equals


@every_family
@pytest.mark.parametrize("shape", [(0, 2), (1, 1), (1, 4), (2, 2), (3, 5), (4, 4), (4, 5), (5, 5)])
def test_the_first_of_all_matchings_is_shown(family: str, shape: tuple[int, int]) -> None:
    for seed in range(4):
        A = matrix(family, seed, *shape)
        rng = np.random.default_rng(seed)
        rows, columns = rng.permutation(shape[0]), rng.permutation(shape[1])
        solved = assign(A[rows][:, columns])  # some optimal matching of A
        found, u, v = np.empty(shape[0], np.int32), np.empty(shape[0]), np.empty(shape[1])
        found[rows[solved.rows]], u[rows], v[columns] = columns[solved.columns], solved.row_prices, solved.column_prices
        shown = settled(A, found, (u, v), least=True)
        assert shown.columns.tolist() == first(A)
        verify(A, shown)
        verify(A, settled(A, found, (u, v), least=False))


@every_family
@pytest.mark.parametrize("shape", [(30, 30), (20, 33), (33, 20)])
def test_every_path_shows_the_same(family: str, shape: tuple[int, int]) -> None:
    A = matrix(family, 3, *shape)
    expected = reference.assign(A)
    shown = []
    for path in available():
        with use(path):
            solved = assign(A)
        shown.append(settled(A, as_columns(solved, len(A)), (solved.row_prices, solved.column_prices), least=True))
    for one in shown:
        verify(A, one)
        assert one.value == expected.value
        for name in ("rows", "columns", "row_prices", "column_prices"):
            assert np.array_equal(getattr(one, name), getattr(shown[0], name))
        assert np.array_equal(one.row_prices, expected.row_prices)
        assert np.array_equal(one.column_prices, expected.column_prices)


@pytest.mark.parametrize("family", SETS)
def test_matches_are_the_same_on_every_path(family: str) -> None:
    q, x = SETS[family](np.random.default_rng(4), 40, 40)
    found = []
    for path in available():
        with use(path):
            found.append(match(q, x))
    for one in found:
        assert one.scores == found[0].scores
        assert np.array_equal(one.rows, found[0].rows)
        assert np.array_equal(one.columns, found[0].columns)


@every_path
@pytest.mark.parametrize("contained", [False, True])
def test_proofs_are_the_reference_s_whatever_was_pruned(path: str, contained: bool) -> None:
    """A blank wall: every other token is the same, so that nearly all matchings tie."""
    rng = np.random.default_rng(5)
    wall = PHOTOS[1].copy()
    wall[::2] = wall[0]
    images = [wall, rng.permutation(wall), PHOTOS[2][:60], rng.permutation(wall)[:70]]
    query = FeatureSet(rng.permutation(wall))
    kernel = Kernel.CONTAINMENT if contained else Kernel.COSINE
    describer = Describer(query, sigma=1.0)
    shown = []
    with use(path):
        for order, prune, threads in (([0, 1, 2, 3], True, 1), ([3, 2, 1, 0], True, 2), ([2, 0, 3, 1], False, 1)):
            ranker = Ranker(query.tokens, k=4, kernel=kernel, threads=threads, prune=prune)
            ranker.add({0: block_of(images, 32)}, np.array(order))
            finalists = sorted(ranker.result().finalists, key=lambda one: one.key)
            prices = [(one.row_prices, one.column_prices) for one in finalists]
            sets = [FeatureSet(images[one.key]) for one in finalists]
            proofs = [
                describer.proof(x, one.columns, p, contained=contained)
                for x, one, p in zip(sets, finalists, prices, strict=True)
            ]
            shown.append([(p.columns.tolist(), p.row_prices.tolist(), p.column_prices.tolist()) for p in proofs])
    assert shown[0] == shown[1] == shown[2]
    with use("reference"):
        ranker = Ranker(query.tokens, k=4, kernel=kernel)
        ranker.add({0: block_of(images, 32)}, np.arange(4))
        finalists = sorted(ranker.result().finalists, key=lambda one: one.key)
        for one, (columns, u, v) in zip(finalists, shown[0], strict=True):
            proof = describer.proof(
                FeatureSet(images[one.key]), one.columns, (one.row_prices, one.column_prices), contained=contained
            )
            assert (proof.columns.tolist(), proof.row_prices.tolist(), proof.column_prices.tolist()) == (columns, u, v)
