"""The exact top k with its ties, and recall by its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setwise_engine.collection import Collection
from setwise_engine.matching import Kernel, similarity
from setwise_evaluation.experiments.recall import Query
from setwise_evaluation.experiments.recall._exact import ExactTop, exact_top, found_within, places
from setwise_evaluation.retrieval import recall_by_candidates

NONE = np.zeros(0, np.int64)


@pytest.mark.parametrize("kernel", [Kernel.COSINE, Kernel.INNER_PRODUCT, Kernel.RBF])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_exact_top_is_that_of_every_pair_solved(collection: Collection, kernel: Kernel, threads: int) -> None:
    sigma = collection.encoder.sigma
    with collection.snapshot() as snapshot:
        keys = snapshot.live_keys()
        own = keys[8]
        query = Query("x", snapshot.features(int(own)))
        top = exact_top(snapshot, query, keys, keys[:3], 9, kernel=kernel, sigma=sigma, threads=threads)
        scores = [
            similarity(query.features.tokens, snapshot.tokens(key), kernel=kernel, sigma=sigma) for key in keys.tolist()
        ]
    least = sorted(scores, reverse=True)[8]
    assert top.keys.tolist() == [key for key, score in zip(keys.tolist(), scores, strict=True) if score >= least]
    assert top.best.tolist() == sorted(scores, reverse=True)[:9]


def test_images_that_tie_for_the_last_place_are_all_there_and_count_alike() -> None:
    top = ExactTop(np.array([3, 4, 5, 8]), np.array([0.5, 0.9, 0.5, 0.5]), 2)
    assert top.certain.tolist() == [False, True, False, False]
    assert top.best.tolist() == [0.9, 0.5]
    coarse = np.array([8, 3, 7, 4, 5])
    assert places(top, coarse).tolist() == [1, 3, 4, 0]
    assert found_within(top, places(top, coarse), [1, 2, 3, 4, 5]).tolist() == [1, 1, 1, 2, 2]
    assert found_within(top, places(top, NONE), [5]).tolist() == [0]


@given(st.data())
def test_recall_is_that_of_the_readable_definition(data: st.DataObject) -> None:
    """`recall_by_candidates` takes one right answer: of the tied images those that the coarse stage puts first."""
    images = data.draw(st.integers(1, 12))
    scores = np.array(data.draw(st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=images, max_size=images)))
    k = data.draw(st.integers(1, images))
    coarse = np.array(data.draw(st.permutations(range(images))))[: data.draw(st.integers(0, images))]
    counts = data.draw(st.lists(st.integers(1, 15), min_size=1, max_size=4))
    keys = np.flatnonzero(scores >= np.sort(scores)[::-1][k - 1])
    top = ExactTop(keys, scores[keys], k)

    rank = {key: place for place, key in enumerate(coarse.tolist())}
    answer = sorted(keys.tolist(), key=lambda key: (-scores[key], rank.get(key, images)))[:k]
    expected = recall_by_candidates([str(key) for key in answer], [str(key) for key in coarse], counts)
    assert (found_within(top, places(top, coarse), counts) / k).tolist() == pytest.approx(expected)
