"""Indexes of the study against those that a collection makes and searches itself."""

from __future__ import annotations

import numpy as np
import pytest

from setwise_engine.collection import Collection
from setwise_engine.errors import InvalidInput
from setwise_evaluation.experiments.recall._indexes import BuiltIndex, factories_for
from setwise_evaluation.experiments.recall._vectors import coarse_vectors


@pytest.mark.parametrize("factory", ["Flat", "SQ8", "IVF40,SQ8", "IVF{lists},Flat", "PCA8,IVF40,Flat", "HNSW4,Flat"])
def test_it_recalls_what_the_collections_own_index_recalls(
    writable: Collection, factory: str, capfd: pytest.CaptureFixture[str]
) -> None:
    info = writable.build_index(factory=factory)
    capfd.readouterr()
    with writable.snapshot() as snapshot:
        keys = snapshot.live_keys()
        vectors = coarse_vectors(snapshot, keys, writable.coarse, stored=True, threads=1, progress=lambda done: None)
        index = BuiltIndex(vectors, "sqrtcov16", factory, threads=1)
        assert (index.setting.index, index.setting.lists > 0) == (info.factory, "IVF" in factory)
        assert index.setting.bytes_per_image == pytest.approx(4 * 136 + info.bytes / info.rows)
        for place in range(0, len(keys), 9):
            vector = np.asarray(vectors[place])
            own = np.searchsorted(keys, [candidate.key for candidate in snapshot.recall(vector, 20)])
            # Copies tie, and FAISS puts them in any order.
            np.testing.assert_allclose(vectors[index.order(vector, 20)] @ vector, vectors[own] @ vector, atol=1e-6)
    assert capfd.readouterr().err == ""  # FAISS warns of lists with few images, and the study looks at such on purpose


def test_probes_are_the_engines() -> None:
    vectors = np.random.default_rng(1).standard_normal((900, 8)).astype(np.float32)
    shares = {
        factory: (index.lists, index.probes)
        for factory in ("IVF20,Flat", "IVF128,SQ8", "IVF400,Flat", "IVF{lists},Flat", "Flat")
        for index in [BuiltIndex(vectors, "mean", factory, threads=1).setting]
    }
    assert list(shares.values()) == [(20, 20), (128, 32), (400, 50), (120, 32), (0, 0)]


def test_lists_are_looked_at_where_there_are_many_images() -> None:
    assert factories_for(9_999) == ("SQ8",)
    assert factories_for(10_000) == ("SQ8", "IVF64,SQ8", "IVF128,SQ8", "IVF{lists},SQ8")


def test_what_faiss_cannot_make_is_refused() -> None:
    with pytest.raises(InvalidInput, match="FAISS cannot make an index 'Nonsense' of 3 vectors of 8 numbers"):
        BuiltIndex(np.eye(3, 8, dtype=np.float32), "mean", "Nonsense", threads=1)
