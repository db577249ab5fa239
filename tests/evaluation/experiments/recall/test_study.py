"""The whole study of a small collection, beside what searches of it answer."""

from __future__ import annotations

import numpy as np
import pytest

from setwise_engine.collection import Collection
from setwise_engine.errors import InvalidInput, NotFound
from setwise_engine.feature_set import FeatureSet
from setwise_engine.filters import Equals
from setwise_engine.matching import Kernel
from setwise_engine.search import Options, Searcher
from setwise_evaluation.experiments.recall import Query, RecallStudy, recall_study

from .conftest import DIMS, IMAGES, record, sets

K = 5
COUNTS = (5, 10, 30)


@pytest.fixture(scope="module")
def study(collection: Collection) -> RecallStudy:
    return recall_study(collection, k=K, resamples=200, counts=COUNTS, sample=12, recall=0.9, threads=1)


def expected(collection: Collection, id: str, count: int, kernel: Kernel = Kernel.COSINE) -> float:
    """Recall by searches alone: of the exhaustive answer's scores, those that a search of few candidates reaches."""
    searcher = Searcher(collection)
    exact = searcher.search_id(id, Options(k=K + 1, exhaustive=True, kernel=kernel)).hits
    found = searcher.search_id(id, Options(k=K + 1, candidates=count + 1, kernel=kernel)).hits
    least = [hit.score for hit in exact if hit.id != id][:K][-1]
    return min(K, sum(hit.score >= least for hit in found if hit.id != id)) / K


def test_the_collection_as_it_is_recalls_what_searches_find(collection: Collection, study: RecallStudy) -> None:
    present = study.curves[0]
    assert present.setting.present
    for row, id in zip(present.found, study.queries, strict=True):
        assert (row / K).tolist() == [expected(collection, id, count) for count in COUNTS]
    assert [one.value for one in present.recall] == pytest.approx((present.found / K).mean(axis=0).tolist())
    assert present.recall[-1].value > present.recall[0].value


@pytest.mark.parametrize("kernel", [Kernel.INNER_PRODUCT, Kernel.RBF])
def test_other_kernels_have_their_own_exact_answers(collection: Collection, kernel: Kernel) -> None:
    study = recall_study(collection, k=K, resamples=200, counts=COUNTS, sample=5, kernel=kernel, kinds=(), factories=())
    for row, id in zip(study.curves[0].found, study.queries, strict=True):
        assert (row / K).tolist() == [expected(collection, id, count, kernel) for count in COUNTS]


def test_the_exact_order_of_the_stored_kind_is_the_collections_without_an_index(study: RecallStudy) -> None:
    kinds = [f"{curve.setting.coarse} {curve.setting.index}" for curve in study.curves]
    assert kinds == ["sqrtcov16 Flat", "sqrtcov16 Flat", "sqrtcov16 SQ8", "mean Flat", "mean SQ8"]
    np.testing.assert_array_equal(study.curves[0].found, study.curves[1].found)
    assert study.curves[3].setting.bytes_per_image == 2 * 4 * DIMS


def test_only_what_lives_is_searched_and_no_image_finds_itself(collection: Collection, study: RecallStudy) -> None:
    assert study.images == IMAGES
    assert len(set(study.queries)) == 12
    assert not {"001", "041", "072"} & set(study.queries)
    assert study.exact_scores.shape == (12, K)
    everything = recall_study(collection, resamples=200, k=IMAGES, sample=3, kinds=(), factories=())
    assert everything.k == IMAGES - 1
    assert everything.counts == (IMAGES - 1,)
    assert "A query can find 69 images, fewer than the 70 that were asked for: k is 69." in everything.notes
    assert (everything.curves[0].found == IMAGES - 1).all()


def test_copies_that_tie_for_the_last_place_are_counted(collection: Collection) -> None:
    with collection.snapshot() as snapshot:
        [key] = snapshot.keys(["009"])  # a shuffled copy of 004: both tie for the one place that a query has
        assert key is not None
        asked = snapshot.features(key)
        study = recall_study(
            collection, [Query("outside", asked)], k=1, resamples=200, counts=[1], kinds=(), factories=()
        )
    assert study.tied == 1
    assert study.curves[0].recall[0].value == 1


def test_default_answers_are_certified_only_where_they_hold_everything(
    collection: Collection, monkeypatch: pytest.MonkeyPatch, study: RecallStudy
) -> None:
    assert (study.default.candidates, study.default.certified, study.default.covered) == (200, 1.0, 1.0)
    assert study.default.exact.value == study.default.recall.value == study.default.sound == 1.0
    module = "setwise_evaluation.experiments.recall._answers.default_candidates"
    monkeypatch.setattr(module, lambda k: 10)
    few = recall_study(collection, k=K, resamples=200, counts=COUNTS, sample=12, kinds=(), factories=())
    assert (few.default.certified, few.default.sound) == (0.0, 1.0)
    assert few.default.covered == pytest.approx(10 / (IMAGES - 1))
    at_ten = COUNTS.index(10)
    assert few.default.exact == few.curves[0].complete[at_ten]
    assert few.default.recall == few.curves[0].recall[at_ten]
    assert 0 < few.default.exact.value < 1


def test_the_same_study_gives_the_same_numbers(collection: Collection, study: RecallStudy) -> None:
    again = recall_study(collection, k=K, resamples=200, counts=COUNTS, sample=12, recall=0.9, threads=2)
    assert again.advice == study.advice
    for one, other in zip(again.curves, study.curves, strict=True):
        np.testing.assert_array_equal(one.found, other.found)
        assert (one.setting, one.recall, one.nominal_ms) == (other.setting, other.recall, other.nominal_ms)
    drawn = recall_study(collection, k=K, sample=12, seed=2, resamples=200, kinds=(), factories=())
    assert drawn.queries != study.queries


def test_its_own_index_is_studied_as_it_stands_also_when_it_covers_a_part(writable: Collection) -> None:
    writable.build_index(factory="IVF40,SQ8")
    writable.append([record(f"9{place:02}", tokens, writable.encoder) for place, tokens in enumerate(sets(5, 10))])
    study = recall_study(writable, k=K, resamples=200, counts=COUNTS, sample=8, kinds=(), factories=("IVF40,SQ8",))
    setting = study.curves[0].setting
    assert (setting.name, setting.lists, setting.probes) == ("IVF40,SQ8, 32 of 40 lists, as it is", 40, 32)
    assert "The index covers 70 of 80 images; the others are searched without it." in study.notes
    for row, id in zip(study.curves[0].found, study.queries, strict=True):
        assert (row / K).tolist() == [expected(writable, id, count) for count in COUNTS]


def test_a_filter_leaves_only_what_passes(collection: Collection) -> None:
    where = Equals("half", 1)
    study = recall_study(collection, k=K, resamples=200, counts=COUNTS, sample=6, where=where)
    with collection.snapshot() as snapshot:
        passing = snapshot.ids(snapshot.matching(where).tolist())
    assert study.images == len(passing) < IMAGES
    assert set(study.queries) <= set(passing)
    assert {curve.setting.index for curve in study.curves} == {"Flat"}
    assert any("With a filter" in note for note in study.notes)
    searcher = Searcher(collection)
    for place, id in enumerate(study.queries):
        hits = searcher.search_id(id, Options(k=K + 1, exhaustive=True, where=where)).hits
        assert study.exact_scores[place].tolist() == [hit.score for hit in hits if hit.id != id][:K]


def test_sets_from_elsewhere_may_ask(collection: Collection) -> None:
    asked = [FeatureSet(tokens) for tokens in sets(11, 3)]
    study = recall_study(collection, asked, resamples=200, k=K, counts=COUNTS, kinds=(), factories=())
    assert study.queries == ("0", "1", "2")
    assert study.default.certified == 1
    answer = Searcher(collection).search(asked[0], Options(k=K, exhaustive=True))
    assert study.exact_scores[0].tolist() == [hit.score for hit in answer.hits]


def test_a_graph_is_asked_for_every_number_of_candidates(collection: Collection) -> None:
    study = recall_study(collection, k=K, resamples=200, counts=COUNTS, sample=4, kinds=(), factories=("HNSW4,Flat",))
    graph = study.curves[-1]
    assert graph.setting.separate
    assert (np.diff(graph.found, axis=1) >= 0).all()


def test_requests_that_make_no_sense_are_refused(collection: Collection) -> None:
    with pytest.raises(InvalidInput, match="k is 0"):
        recall_study(collection, k=0)
    with pytest.raises(InvalidInput, match=r"recall is 1\.5"):
        recall_study(collection, recall=1.5)
    with pytest.raises(InvalidInput, match="sample is 0"):
        recall_study(collection, sample=0)
    with pytest.raises(InvalidInput, match="counts holds 0"):
        recall_study(collection, counts=[0])
    with pytest.raises(InvalidInput, match="no queries"):
        recall_study(collection, [])
    with pytest.raises(InvalidInput, match="nothing can be found: 0 image passes the filter"):
        recall_study(collection, [FeatureSet(sets(1, 1)[0])], where=Equals("half", 7))
    with pytest.raises(NotFound, match="'gone'"):
        recall_study(collection, [Query("x", FeatureSet(sets(1, 1)[0]), own="gone")])
