"""What is read from one matching: kernels, the paper's sigma, gaps, eigenvalues; saved and loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from setwise_engine.errors import AlreadyExists, FormatError, InvalidInput, NotFound
from setwise_evaluation.rsm import Rsm, rsm
from setwise_evaluation.rsm import _rsm as module

RNG = np.random.default_rng(1)
SETS = RNG.standard_normal((6, 4, 3)).astype(np.float32)
OTHERS = RNG.standard_normal((3, 4, 3)).astype(np.float32)


def test_every_kernel_comes_from_one_matching() -> None:
    matrix = rsm(SETS, kernel="rbf", sigma=2.0)
    norms = np.linalg.norm(SETS.reshape(6, -1).astype(np.float64), axis=1)
    L = matrix.sums
    np.testing.assert_allclose(matrix.read("inner_product"), L)
    np.testing.assert_allclose(matrix.read("cosine"), L / np.outer(norms, norms))
    squares = np.add.outer(norms**2, norms**2) - 2 * L
    np.testing.assert_allclose(matrix.values, np.exp(-np.maximum(squares, 0) / 8), atol=1e-12)
    np.testing.assert_array_equal(np.asarray(matrix), matrix.values)
    assert np.asarray(matrix, dtype=np.float32).dtype == np.float32
    assert repr(matrix) == "Rsm of 6 x 6 images, rbf, matching exact"


def test_a_matched_square_is_the_distance_after_matching() -> None:
    """d^2 of two sets of equal size is the sum of squared distances of the matched tokens."""
    q, x = np.float32([[0, 0], [3, 4]]), np.float32([[3, 4], [0, 1]])
    matrix = rsm(q[None], x[None])
    assert -2 * 2.0**2 * np.log(matrix.read("rbf", 2.0)) == pytest.approx(1.0)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 7))
def test_sigma_is_the_root_of_the_median_matched_square(seed: int, count: int) -> None:
    sets = np.random.default_rng(seed).standard_normal((count, 3, 2)).astype(np.float32)
    matrix = rsm(sets)
    squares = np.add.outer(matrix.row_squares, matrix.row_squares) - 2 * matrix.sums
    pairs = squares[np.triu_indices(count, 1)]
    assert matrix.median_sigma() ** 2 == pytest.approx(np.median(np.maximum(pairs, 0)))
    np.testing.assert_array_equal(matrix.read("rbf"), matrix.read("rbf", matrix.median_sigma()))


def test_sigma_of_a_rectangle_is_over_all_pairs() -> None:
    matrix = rsm(SETS, OTHERS)
    squares = np.add.outer(matrix.row_squares, matrix.column_squares) - 2 * matrix.sums
    assert matrix.median_sigma() ** 2 == pytest.approx(np.median(squares))


def test_sigma_of_maxsim_is_over_both_directions() -> None:
    matrix = rsm(SETS, matching="maxsim")
    squares = np.maximum(np.add.outer(matrix.row_squares, matrix.row_squares) - 2 * matrix.sums, 0)
    assert matrix.median_sigma() ** 2 == pytest.approx(np.median(squares[~np.eye(6, dtype=bool)]))
    assert matrix.off_diagonal().shape == (30,)


def test_no_sigma_without_distances() -> None:
    with pytest.raises(InvalidInput, match="there is one image only; give sigma"):
        rsm(SETS[:1]).read("rbf")
    with pytest.raises(InvalidInput, match="half of the pairs are at distance 0; give sigma"):
        rsm(SETS[[0, 0, 0]]).read("rbf")


def test_a_tiny_sigma_is_no_number_wrong() -> None:
    matrix = rsm(SETS, kernel="rbf", sigma=1e-200)
    assert (matrix.off_diagonal() == 0).all()
    assert not np.isnan(matrix.values).any()


def test_a_zero_set_is_similar_to_nothing() -> None:
    sets = [SETS[0], np.zeros((4, 3)), np.zeros((0, 3))]
    matrix = rsm(sets)
    np.testing.assert_allclose(matrix.values, np.diag([1.0, 0, 0]), atol=1e-12)
    assert matrix.largest_gap() is not None


@pytest.mark.parametrize("matching", ["exact", "none", "greedy", "batch-optimal", "sinkhorn"])
def test_cosines_of_one_to_one_matchings_stay_within_their_range(matching: str) -> None:
    """Rounding leads out of it, float32's underflow further: 1.00000001 on this diagonal."""
    for sets in (SETS, SETS * np.float32(1e-30), -SETS * np.float32(1e-30)):
        values = rsm(np.concatenate([sets, -sets]), matching=matching).values
        assert np.abs(values).max() <= 1.0
        np.testing.assert_allclose(np.diagonal(values), 1.0, atol=1e-6 if matching in ("exact", "none") else 1.0)


def test_cosines_of_chamfer_may_be_above_1() -> None:
    """One token's partner is the long one, whoever else has it."""
    assert rsm(np.float32([[[1, 0], [3, 0]]]), matching="chamfer").values[0, 0] == pytest.approx(1.2)


def test_strips_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = rsm(SETS, OTHERS)
    before = matrix.read("rbf"), matrix.off_diagonal("cosine"), matrix.largest_gap()
    monkeypatch.setattr(module, "_STRIP_NUMBERS", 4)
    again = rsm(SETS, OTHERS)
    np.testing.assert_array_equal(again.read("rbf"), before[0])
    np.testing.assert_array_equal(again.off_diagonal("cosine"), before[1])
    assert again.largest_gap() == before[2]
    out = np.empty((6, 3))
    assert again.read("rbf", out=out) is out


def test_the_smallest_eigenvalue_tells_an_indefinite_kernel() -> None:
    """Three sets of two tokens: a maximum over matchings is no inner product."""
    sets = np.float32([[[1, 0], [0, 0]], [[0, 0], [0, 1]], [[1, 0], [0, 1]]])
    matrix = rsm(sets, kernel="inner_product")
    assert matrix.smallest_eigenvalue() == pytest.approx(np.linalg.eigvalsh(matrix.values)[0])
    many = np.random.default_rng(2).standard_normal((40, 6, 1)).astype(np.float32)
    assert rsm(many, kernel="inner_product", matching="none").smallest_eigenvalue() > -1e-9
    with pytest.raises(InvalidInput, match="need a symmetric matrix"):
        rsm(SETS, OTHERS).smallest_eigenvalue()


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    for number, matrix in enumerate([rsm(SETS, kernel="rbf", sigma=3.0), rsm(SETS, OTHERS, matching="none")]):
        matrix.save(tmp_path / str(number))
        loaded = Rsm.load(tmp_path / str(number))
        np.testing.assert_array_equal(loaded.values, matrix.values)
        for name in ("matching", "kernel", "sigma", "symmetric", "row_ids", "column_ids", "row_fingerprint"):
            assert getattr(loaded, name) == getattr(matrix, name)
        assert loaded.largest_gap() == matrix.largest_gap()


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(AlreadyExists, match=r"already holds mine\.txt"):
        rsm(SETS).save(tmp_path)
    with pytest.raises(NotFound, match="there is no matrix"):
        Rsm.load(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": "setwise-rsm", "version": 99}')
    with pytest.raises(FormatError, match="does not know; use a newer one"):
        Rsm.load(tmp_path)
    (tmp_path / "manifest.json").write_text("[")
    with pytest.raises(FormatError, match="cannot be read"):
        Rsm.load(tmp_path)
