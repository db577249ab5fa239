"""The export, held to the real rsatoolbox."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput, Unavailable
from setwise_evaluation.compare import Method, correlate, noise_ceiling, to_rsatoolbox
from setwise_evaluation.rsm import rsm

Matrix = NDArray[np.float64]


class Exported(SimpleNamespace):
    """What an Rsm is to the export: values, and how they were made."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.values, dtype=dtype)


@pytest.fixture
def cosines(linear: Callable[..., Matrix]) -> dict[str, Matrix]:
    def cosine(kernel: Matrix) -> Matrix:
        norms = np.sqrt(np.diag(kernel))
        return kernel / np.outer(norms, norms)

    return {name: cosine(linear(0) + linear(seed)) for seed, name in enumerate(("one", "two", "three"), start=1)}


@pytest.mark.parametrize(("theirs", "ours"), [("corr", "pearson"), ("spearman", "spearman"), ("kendall", "kendall")])
def test_their_comparison_is_ours(cosines: dict[str, Matrix], theirs: str, ours: Method) -> None:
    from rsatoolbox.rdm import compare

    rdms = to_rsatoolbox(cosines, kernel="cosine")
    expected = [[correlate(a, b, method=ours) for b in cosines.values()] for a in cosines.values()]
    assert compare(rdms, rdms, method=theirs) == pytest.approx(np.array(expected))


@pytest.mark.parametrize(("theirs", "ours"), [("corr", "pearson"), ("spearman", "spearman"), ("kendall", "kendall")])
def test_their_noise_ceiling_is_ours(cosines: dict[str, Matrix], theirs: str, ours: Method) -> None:
    from rsatoolbox.inference import boot_noise_ceiling

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Noise ceiling for tau based on averaged ranks")
        bounds = boot_noise_ceiling(to_rsatoolbox(cosines, kernel="cosine"), method=theirs)
    found = noise_ceiling(list(cosines.values()), method=ours)
    assert (found.lower, found.upper) == pytest.approx(bounds)


def test_an_rsm_tells_how_it_was_made() -> None:
    activations = np.random.default_rng(0).standard_normal((6, 4, 3))
    named = {how: rsm(activations, kernel="rbf", matching=how) for how in ("exact", "none")}
    rdms = to_rsatoolbox(named, ids=[f"photo-{i}" for i in range(6)], descriptors={"network": "lite0"})
    assert rdms.dissimilarity_measure == "1 - rbf"
    assert rdms.descriptors == {"kernel": "rbf", "network": "lite0"}
    assert rdms.rdm_descriptors["name"] == rdms.rdm_descriptors["matching"] == ["exact", "none"]
    assert rdms.rdm_descriptors["sigma"] == [matrix.median_sigma() for matrix in named.values()]
    some = rdms.subset("matching", "none").subset_pattern("id", ["photo-3", "photo-5"])
    assert some.get_vectors() == pytest.approx(1 - named["none"].values[3, 5])


def test_ids_come_with_the_rsm(cosines: dict[str, Matrix]) -> None:
    ids = tuple(f"photo-{i}" for i in range(12))
    rdms = to_rsatoolbox(Exported(values=cosines["one"], kernel="cosine", row_ids=ids))
    assert rdms.pattern_descriptors["id"] == list(ids)
    assert np.array_equal(rdms.get_matrices()[0], np.where(np.eye(12), 0, 1 - cosines["one"]))


def test_inner_products_become_squared_distances() -> None:
    x = np.random.default_rng(0).standard_normal((7, 3))
    distances = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    from_diagonal = to_rsatoolbox(x @ x.T, kernel="inner_product")
    assert from_diagonal.get_matrices()[0] == pytest.approx(distances)
    assert from_diagonal.dissimilarity_measure == "squared distance, |Q|^2 + |X|^2 - 2 L"
    sets = rsm(x[:, None].astype(np.float32), kernel="inner_product", matching="none")
    assert to_rsatoolbox(sets).get_matrices()[0] == pytest.approx(distances, abs=1e-5)


def test_what_cannot_be_exported_is_named(cosines: dict[str, Matrix]) -> None:
    with pytest.raises(InvalidInput, match="kernel is None; say which of cosine, rbf, inner_product"):
        to_rsatoolbox(cosines)
    with pytest.raises(InvalidInput, match="two has the kernel rbf, not cosine"):
        to_rsatoolbox(
            {
                "one": Exported(values=cosines["one"], kernel="cosine", row_ids=None),
                "two": Exported(values=cosines["two"], kernel="rbf", row_ids=None),
            }
        )
    with pytest.raises(InvalidInput, match="2 ids for 12 images"):
        to_rsatoolbox(cosines, kernel="cosine", ids=["a", "b"])
    with pytest.raises(InvalidInput, match="there are no RSMs"):
        to_rsatoolbox({}, kernel="cosine")


def test_without_the_package_the_command_is_told(cosines: dict[str, Matrix], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rsatoolbox.rdm", None)
    with pytest.raises(Unavailable, match="pip install rsatoolbox"):
        to_rsatoolbox(cosines, kernel="cosine")
