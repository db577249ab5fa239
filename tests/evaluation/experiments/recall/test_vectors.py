"""Coarse vectors from what is stored."""

from __future__ import annotations

import numpy as np
import pytest

from setwise_engine.coarse import Coarse
from setwise_engine.collection import Collection
from setwise_engine.errors import InvalidInput
from setwise_evaluation.experiments.recall import _vectors
from setwise_evaluation.experiments.recall._vectors import coarse_kinds, coarse_vectors


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("chunk", [1, 7, 256])
def test_pooled_anew_they_are_those_that_are_stored(
    collection: Collection, threads: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_vectors, "_CHUNK", chunk)
    done: list[int] = []
    with collection.snapshot() as snapshot:
        keys, pool = snapshot.live_keys(), collection.coarse
        stored = coarse_vectors(snapshot, keys, pool, stored=True, threads=threads, progress=done.append)
        pooled = coarse_vectors(snapshot, keys, pool, stored=False, threads=threads, progress=done.append)
        expected = np.stack([snapshot.coarse(key) for key in keys.tolist()])
    np.testing.assert_array_equal(stored, expected)
    np.testing.assert_array_equal(pooled, expected)
    assert done[-1] == len(keys)


def test_kinds_that_the_basis_cannot_give_are_left_out_by_name(collection: Collection) -> None:
    pools, notes = coarse_kinds(collection, None)
    assert [pool.kind for pool in pools] == ["sqrtcov16", "mean"]
    assert len(notes) == 4
    assert "mean+sqrtcov64 is left out: the encoder's coarse basis has 24 columns, not 64" in notes
    assert [pool.kind for pool in coarse_kinds(collection, ("mean",))[0]] == ["sqrtcov16", "mean"]
    assert all(isinstance(pool, Coarse) for pool in pools)
    with pytest.raises(InvalidInput, match="'median' does not exist; choose one of mean"):
        coarse_kinds(collection, ("median",))
