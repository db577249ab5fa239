"""A filtered search is a search of what passes: same scores, same order, and a proof for all of it."""

from __future__ import annotations

import numpy as np
import pytest

from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.encoder import Encoder
from setwise_engine.errors import InvalidInput
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize, Stage
from setwise_engine.filters import AnyOf, Equals, Filter, Not, Or, Range, matches
from setwise_engine.search import Options, Region, Scope, Searcher

DIMS = 8


@pytest.fixture
def searcher(tmp_path_factory: pytest.TempPathFactory, plain_encoder: Encoder) -> Searcher:
    """Over 300 images, 200 of them in the index, of four cameras and ten years; every ninth has no camera."""
    settings = Settings("", 0, "", DIMS, plain_encoder.fingerprint, thumbnails=False)
    collection = Collection.create(tmp_path_factory.mktemp("filters") / "c.setwise", settings, plain_encoder)
    rng = np.random.default_rng(3)
    common = rng.standard_normal((12, DIMS))
    for first in (0, 200):
        records = [_record(n, common, rng, plain_encoder) for n in range(first, first + (100 if first else 200))]
        collection.append(records)
        if not first:
            collection.build_index()
    return Searcher(collection)


def _record(n: int, common: np.ndarray, rng: np.random.Generator, encoder: Encoder) -> ImageRecord:
    tokens = (common + rng.choice([0.3, 1.0, 3.0]) * rng.standard_normal((12, DIMS))).astype(np.float16)
    features = FeatureSet(tokens, Stage.ENCODED, "", encoder.fingerprint, Grid(3, 4), ImageSize(640, 480))
    metadata = {"n": n, "year": 2010 + n % 10} | ({} if n % 9 == 8 else {"camera": "abcd"[n % 4]})
    return ImageRecord(f"{n:03}", features, metadata)


FILTERS: list[Filter] = [
    Equals("camera", "a"),
    Range("year", ge=2012, lt=2015),
    Not(AnyOf("camera", ("a", "b"))),
    Range("n", ge=195, lt=205),
    Equals("n", 42),
]


def by_hand(searcher: Searcher, where: Filter, k: int, **options: object) -> list[tuple[str, float]]:
    """The oracle: the exact ranking of everything, and what passes of it."""
    everything = searcher.search_id("007", Options(k=300, exhaustive=True, metadata=True, **options))  # type: ignore[arg-type]
    return [(hit.id, hit.score) for hit in everything.hits if matches(where, hit.metadata)][:k]


@pytest.mark.parametrize("where", FILTERS, ids=repr)
@pytest.mark.parametrize("exhaustive", [True, False])
def test_the_hits_are_the_best_of_those_that_pass(searcher: Searcher, where: Filter, exhaustive: bool) -> None:
    answer = searcher.search_id("007", Options(k=5, where=where, exhaustive=exhaustive, metadata=True))
    expected = by_hand(searcher, where, 5)
    assert [(hit.id, hit.score) for hit in answer.hits] == expected
    passing = len(by_hand(searcher, where, 300))
    assert (answer.matching, answer.collection_size, answer.recalled) == (passing, 300, passing)
    assert answer.scope is Scope.COLLECTION  # 200 candidates were asked for: all that pass are among them


def test_fewer_candidates_than_pass_are_what_the_answer_is_about(searcher: Searcher) -> None:
    answer = searcher.search_id("007", Options(k=3, candidates=20, where=Range("year", ge=2012)))
    assert (answer.scope, answer.matching, answer.recalled) == (Scope.CANDIDATES, 240, 20)


@pytest.mark.parametrize("exhaustive", [True, False])
def test_where_nothing_passes_nothing_is_found_and_that_is_proven(searcher: Searcher, exhaustive: bool) -> None:
    answer = searcher.search_id("007", Options(where=Or(()), exhaustive=exhaustive))
    assert (answer.hits, answer.matching, answer.recalled) == ((), 0, 0)
    assert answer.scope is Scope.COLLECTION


def test_a_region_is_searched_among_those_that_pass(searcher: Searcher) -> None:
    region = Region(box=(0, 0, 320, 240))
    where = Equals("camera", "c")
    query = searcher.features("007")
    everything = searcher.search(query, Options(k=300, metadata=True), region=region)
    answer = searcher.search(query, Options(k=4, where=where), region=region)
    expected = [(hit.id, hit.score) for hit in everything.hits if matches(where, hit.metadata)]
    assert [(hit.id, hit.score) for hit in answer.hits] == expected[:4]
    assert (answer.matching, answer.scope, answer.warnings) == (len(expected), Scope.COLLECTION, ())


@pytest.mark.parametrize("options", [Options(where=Equals("n", 1)), Options(group_by="n")], ids=["where", "group_by"])
def test_a_rerank_takes_neither_filter_nor_groups(searcher: Searcher, options: Options) -> None:
    with pytest.raises(InvalidInput, match="a rerank has its candidates given"):
        searcher.rerank(searcher.features("000"), ["001"], [], options)


def grouped_by_hand(searcher: Searcher, field: str, size: int, k: int, where: Filter) -> list[str]:
    """The oracle: the exact ranking of everything, walked once."""
    everything = searcher.search_id("007", Options(k=300, exhaustive=True, metadata=True))
    taken: dict[object, int] = {}
    hits = []
    for hit in everything.hits:
        group = repr(hit.metadata[field]) if field in hit.metadata else None
        if matches(where, hit.metadata) and taken.get(group, 0) < size:
            taken[group] = taken.get(group, 0) + 1
            hits.append(hit.id)
    return hits[:k]


@pytest.mark.parametrize("where", [Not(Or(())), Range("year", lt=2014)], ids=["all", "filtered"])
@pytest.mark.parametrize("groups", [("camera", 1, 3), ("camera", 2, 9), ("year", 1, 10), ("n", 1, 7)], ids=repr)
@pytest.mark.parametrize("exhaustive", [True, False])
def test_no_group_has_more_hits_than_it_may(
    searcher: Searcher, where: Filter, groups: tuple[str, int, int], exhaustive: bool
) -> None:
    field, size, k = groups
    options = Options(
        k=k,
        where=where,
        group_by=field,
        group_size=size,
        metadata=True,
        proofs=True,
        exhaustive=exhaustive or None,
        candidates=None if exhaustive else 300,
    )
    answer = searcher.search_id("007", options)
    assert [hit.id for hit in answer.hits] == grouped_by_hand(searcher, field, size, k, where)
    assert [hit.group for hit in answer.hits] == [hit.metadata.get(field) for hit in answer.hits]
    assert answer.scope is Scope.COLLECTION
    assert answer.kth_score is not None
    assert answer.kth_score <= answer.hits[-1].score
    assert answer.highest_pruned_bound is None or answer.highest_pruned_bound < answer.kth_score


def test_groups_are_filled_from_as_far_down_as_it_takes(searcher: Searcher, plain_encoder: Encoder) -> None:
    """The nearest hundred images all are of one group: the second hit comes from below them."""
    rng = np.random.default_rng(0)
    near = searcher.features("007").tokens
    copies = []
    for n in range(100):
        tokens = (near + 0.01 * rng.standard_normal(near.shape)).astype(np.float16)
        features = FeatureSet(tokens, Stage.ENCODED, "", plain_encoder.fingerprint)
        copies.append(ImageRecord(f"copy{n}", features, {"scene": ["beach", 1]}))
    searcher._collection.append(copies)
    searcher._collection.update({"007": {"scene": ["beach", 1]}, "100": {"scene": [1, "beach"]}})
    answer = searcher.search_id("007", Options(k=3, group_by="scene", exhaustive=True, min_score=-1.0))
    assert answer.hits[0].id == "007"
    assert [hit.group for hit in answer.hits if hit.group is not None] == [["beach", 1], [1, "beach"]]
    assert len(answer.hits) == 3  # lists are compared as they stand; all images without a scene share a group
    assert [hit.group for hit in answer.hits].count(None) == 1


def test_groups_that_the_candidates_do_not_fill_are_said_to_be_missing(searcher: Searcher) -> None:
    answer = searcher.search_id("007", Options(k=20, candidates=30, group_by="camera"))
    assert len(answer.hits) <= 5
    assert "of 20 places" in answer.warnings[0]
    proven = searcher.search_id("007", Options(k=20, exhaustive=True, group_by="camera"))
    assert (len(proven.hits), proven.warnings) == (5, ())


def test_a_score_too_low_ends_the_walk(searcher: Searcher) -> None:
    least = searcher.search_id("007", Options(k=4, exhaustive=True)).hits[-1].score
    answer = searcher.search_id("007", Options(k=300, exhaustive=True, group_by="n", min_score=least))
    assert len(answer.hits) == 4


@pytest.mark.parametrize(
    ("options", "field"), [({"group_by": ""}, "group_by"), ({"group_by": "n", "group_size": 0}, "group_size")]
)
def test_groups_that_mean_nothing_are_refused(options: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Options(**options)  # type: ignore[arg-type]
    assert caught.value.field == field
