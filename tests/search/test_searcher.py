"""Searching a collection: what comes back, what was proven, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from setwise_engine.encoder import Encoder
from setwise_engine.errors import DeadlineError, Incompatible, InvalidInput, NotFound
from setwise_engine.feature_set import FeatureSet, Grid, Stage
from setwise_engine.matching import Kernel, match
from setwise_engine.search import Answer, Options, Scope, Searcher

MakeSearcher = Callable[[dict[str, np.ndarray]], Searcher]
Sets = dict[str, np.ndarray]


def ranked(answer: Answer) -> list[tuple[str, float]]:
    return [(hit.id, hit.score) for hit in answer.hits]


def expected(query: np.ndarray, sets: Sets, sigma: float, kernel: Kernel = Kernel.COSINE) -> list[tuple[str, float]]:
    """The oracle: every set scored by the reference, sorted by score and then by the bytes of the id."""
    scored = [
        (id, getattr(match(FeatureSet(query), FeatureSet(tokens), sigma=sigma).scores, kernel.value))
        for id, tokens in sets.items()
    ]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0].encode()))


@pytest.mark.parametrize("kernel", [Kernel.COSINE, Kernel.INNER_PRODUCT, Kernel.RBF])
@pytest.mark.parametrize("k", [1, 5, 40])
def test_the_answer_is_the_reference_ranking_to_the_bit(
    make_searcher: MakeSearcher, scattered: Sets, plain_encoder: Encoder, kernel: Kernel, k: int
) -> None:
    searcher = make_searcher(scattered)
    for id in ("001", "010", "022"):
        answer = searcher.search(FeatureSet(scattered[id]), Options(k=k, kernel=kernel))
        assert ranked(answer) == expected(scattered[id], scattered, plain_encoder.sigma, kernel)[:k]
        assert answer.scope is Scope.COLLECTION
        assert answer.recalled == answer.pruned + answer.solved == answer.collection_size == 40
        assert answer.kth_score == answer.hits[-1].score


def test_pruning_changes_no_bit(make_searcher: MakeSearcher, scattered: Sets) -> None:
    searcher = make_searcher(scattered)
    for id in scattered:
        for options in (Options(k=3, candidates=20), Options(k=4, min_score=0.3), Options(k=2, kernel=Kernel.RBF)):
            searcher._prune = True
            pruned = searcher.search_id(id, options)
            searcher._prune = False
            plain = searcher.search_id(id, options)
            assert ranked(pruned) == ranked(plain)
            assert plain.pruned == 0


def test_fewer_candidates_than_images_prove_less(make_searcher: MakeSearcher, scattered: Sets) -> None:
    answer = make_searcher(scattered).search_id("001", Options(k=2, candidates=5))
    assert answer.scope is Scope.CANDIDATES
    assert answer.recalled == 5
    assert len(answer.hits) == 2


def test_an_image_finds_itself_first_with_score_one(make_searcher: MakeSearcher) -> None:
    rng = np.random.default_rng(0)
    sets = {str(i): rng.standard_normal((9, 8)).astype(np.float16) for i in range(5)}
    searcher = make_searcher(sets)
    for id, tokens in sets.items():
        for answer in (searcher.search_id(id), searcher.search(FeatureSet(rng.permutation(tokens)))):
            assert ranked(answer)[0] == (id, 1.0)


def test_equal_scores_are_ordered_by_the_bytes_of_the_ids(make_searcher: MakeSearcher) -> None:
    tokens = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float16)
    ids = ["b", "a", "Z", "é", "\U0001d11e", "\uff5e"]  # UTF-16 would order the last two the other way round
    searcher = make_searcher(dict.fromkeys(ids, tokens))
    in_order = sorted(ids, key=str.encode)
    for k in (3, 6):
        assert [hit.id for hit in searcher.search(FeatureSet(tokens), Options(k=k)).hits] == in_order[:k]


def test_a_large_k_returns_what_there_is_and_an_empty_collection_nothing(make_searcher: MakeSearcher) -> None:
    tokens = np.ones((2, 8), np.float16)
    assert len(make_searcher({"a": tokens, "b": tokens}).search(FeatureSet(tokens), Options(k=1000)).hits) == 2
    answer = make_searcher({}).search(FeatureSet(tokens))
    assert answer.hits == ()
    assert (answer.scope, answer.collection_size, answer.kth_score) == (Scope.COLLECTION, 0, None)


def test_hits_below_the_least_score_are_left_out(make_searcher: MakeSearcher, scattered: Sets) -> None:
    searcher = make_searcher(scattered)
    everything = ranked(searcher.search_id("001", Options(k=40)))
    for least in (everything[3][1], everything[9][1], 2.0):
        answer = searcher.search_id("001", Options(k=40, min_score=least))
        assert ranked(answer) == [pair for pair in everything if pair[1] >= least]


def test_hits_carry_only_what_was_asked_for(make_searcher: MakeSearcher, scattered: Sets) -> None:
    searcher = make_searcher(scattered)
    bare = searcher.search_id("001", Options(k=3)).hits[0]
    assert (dict(bare.metadata), bare.scores, bare.match, bare.thumbnail) == ({}, None, None, b"")
    assert bare.image_size == (640, 480)
    assert bare.grid == Grid(len(scattered[bare.id]), 1)
    full = searcher.search_id("001", Options(k=3, scores=True, matches=True, metadata=True)).hits[0]
    assert dict(full.metadata) == {"name": full.id, "tokens": len(scattered[full.id])}
    assert dict(searcher.search_id("001", Options(k=1, metadata=("name",))).hits[0].metadata) == {"name": full.id}
    assert full.scores is not None
    assert full.match is not None
    assert full.scores == full.match.scores
    assert full.scores.cosine == full.score


def test_matches_name_tokens_of_query_and_hit(make_searcher: MakeSearcher) -> None:
    tokens = np.random.default_rng(3).standard_normal((7, 8)).astype(np.float16)
    order = np.random.default_rng(4).permutation(7)
    hit = make_searcher({"a": tokens}).search(FeatureSet(tokens[order]), Options(k=1, matches=True)).hits[0]
    assert hit.match is not None
    assert (order[hit.match.rows] == hit.match.columns).all()


def test_deleted_images_are_never_found(make_searcher: MakeSearcher, scattered: Sets) -> None:
    searcher = make_searcher(scattered)
    searcher._collection.delete(["001", "002"])
    answer = searcher.search(FeatureSet(scattered["001"]), Options(k=40))
    assert answer.collection_size == len(answer.hits) == 38
    with pytest.raises(NotFound, match="'001'"):
        searcher.search_id("001")


def test_an_unknown_id_is_not_found(make_searcher: MakeSearcher, scattered: Sets) -> None:
    searcher = make_searcher(scattered)
    for ask in (searcher.search_id, searcher.features):
        with pytest.raises(NotFound, match="no image 'nope'"):
            ask("nope")


def test_the_stored_set_can_be_asked_with(make_searcher: MakeSearcher, scattered: Sets) -> None:
    searcher = make_searcher(scattered)
    features = searcher.features("001")
    assert features.stage is Stage.ENCODED
    assert np.array_equal(features.tokens, scattered["001"])
    assert ranked(searcher.search(features)) == ranked(searcher.search_id("001"))


def test_sets_made_for_something_else_are_refused_naming_both(
    make_searcher: MakeSearcher, scattered: Sets, plain_encoder: Encoder
) -> None:
    searcher = make_searcher(scattered)
    encoded = searcher.features("001")
    theirs = plain_encoder.fingerprint
    wrong = [
        (FeatureSet(np.zeros((2, 9), np.float16)), "9 dimensions.*tokens of 8"),
        (replace(encoded, tokens=np.zeros((12, 9), np.float16), grid=None), "9 dimensions.*tokens of 8"),
        (replace(encoded, encoder="0123"), f"0123.*{theirs}"),
        (replace(encoded, encoder=""), f"unknown encoder.*{theirs}"),
        (FeatureSet(scattered["001"], model="resnet50@224:beef"), "resnet50@224:beef"),
    ]
    for features, complaint in wrong:
        with pytest.raises(Incompatible, match=complaint):
            searcher.search(features)
        with pytest.raises(Incompatible, match=complaint):
            searcher.compare(encoded, features)
        with pytest.raises(Incompatible, match=f"candidate 'mine'.*{complaint}"):
            searcher.rerank(encoded, [], [("mine", features)])


def test_the_deadline_is_heeded_between_stages(make_searcher: MakeSearcher, scattered: Sets) -> None:
    searcher = make_searcher(scattered)
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    searcher.search_id("001", Options(k=5), count)
    for limit in range(1, calls + 1):
        left = limit

        def stop() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise DeadlineError("time is up")

        with pytest.raises(DeadlineError):
            searcher.search_id("001", Options(k=5), stop)
    assert calls >= 5 + 3  # at the start, by the ranker, and before each hit


def test_rerank_orders_stored_and_given_sets_alike(
    make_searcher: MakeSearcher, scattered: Sets, plain_encoder: Encoder
) -> None:
    searcher = make_searcher(scattered)
    query = scattered["010"]
    given = {f"mine{i}": np.roll(scattered[id], i, axis=0) for i, id in enumerate(("010", "003"))}
    answer = searcher.rerank(
        FeatureSet(query),
        ["004", "gone", "011", "also gone"],
        [(id, FeatureSet(tokens)) for id, tokens in given.items()],
        Options(k=10, scores=True, metadata=True),
    )
    sets = {"004": scattered["004"], "011": scattered["011"], **given}
    assert ranked(answer) == expected(query, sets, plain_encoder.sigma)
    assert answer.missing == ("gone", "also gone")
    assert (answer.recalled, answer.scope) == (4, Scope.CANDIDATES)
    assert {hit.id: dict(hit.metadata) for hit in answer.hits}["mine0"] == {}


def test_rerank_refuses_two_candidates_of_one_name(make_searcher: MakeSearcher, scattered: Sets) -> None:
    searcher = make_searcher(scattered)
    query = FeatureSet(scattered["001"])
    for ids, sets in ((["001", "001"], []), (["001"], [("001", query)]), ([], [("x", query), ("x", query)])):
        with pytest.raises(InvalidInput, match="twice"):
            searcher.rerank(query, ids, sets)
    with pytest.raises(InvalidInput, match="candidates"):
        searcher.rerank(query, ["001"], [], Options(candidates=10))


def test_rerank_of_nothing_is_nothing(make_searcher: MakeSearcher, scattered: Sets) -> None:
    answer = make_searcher(scattered).rerank(FeatureSet(scattered["001"]), [], [])
    assert (answer.hits, answer.kth_score, answer.recalled) == ((), None, 0)


def test_compare_reads_the_collections_sigma(
    make_searcher: MakeSearcher, scattered: Sets, plain_encoder: Encoder
) -> None:
    a, b = FeatureSet(scattered["001"]), FeatureSet(scattered["002"])
    compared = make_searcher(scattered).compare(a, b)
    assert compared.scores == match(a, b, sigma=plain_encoder.sigma).scores
