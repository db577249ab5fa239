"""Search, SearchBatch, Rerank and Compare over the wire."""

from __future__ import annotations

import numpy as np
import pytest

from setwise_engine.feature_set import FeatureSet
from setwise_proto.v1 import search_pb2 as pb
from setwise_proto.v1 import types_pb2 as types
from setwise_server import ServerSettings
from setwise_server._tensors import features_to_proto


def _set(features: FeatureSet) -> types.Query:
    return types.Query(features=features_to_proto(features))


@pytest.fixture
def ask(server, make_set):
    """Search the ready-made sets with one of their own, or with `query`."""

    def ask(query: types.Query | None = None, **options):
        query = query or _set(make_set(7))
        request = pb.SearchRequest(collection="sets", query=query, options=pb.SearchOptions(**options))
        return server.search.Search(request)

    return ask


def test_a_stored_set_finds_itself_first_with_score_one(ask) -> None:
    response = ask()
    assert response.hits[0].id == "set-07"
    assert response.hits[0].score == pytest.approx(1, abs=1e-12)
    assert len(response.hits) == 10
    scores = [hit.score for hit in response.hits]
    assert scores == sorted(scores, reverse=True)
    assert response.kernel == types.KERNEL_COSINE


def test_an_id_asks_for_the_same_as_its_set(ask) -> None:
    by_set, by_id = ask(), ask(types.Query(id="set-07"))
    assert list(by_set.hits) == list(by_id.hits)
    assert by_set.certificate == by_id.certificate


def test_a_photo_finds_itself_and_every_stage_is_timed(server, photos) -> None:
    request = pb.SearchRequest(
        collection="photos", query=types.Query(image=photos[3].read_bytes()), options=pb.SearchOptions(k=3)
    )
    response = server.search.Search(request)
    assert response.hits[0].id == photos[3].name
    assert response.hits[0].score == pytest.approx(1, abs=1e-9)
    timings = response.timings
    stages = [
        timings.decode_ms,
        timings.extract_ms,
        timings.encode_ms,
        timings.recall_ms,
        timings.rerank_ms,
        timings.fetch_ms,
    ]
    assert all(stage > 0 for stage in stages)
    assert sum(stages) <= timings.total_ms


def test_the_certificate_says_what_was_proven(ask) -> None:
    response = ask(k=3, candidates=20)
    certificate = response.certificate
    assert certificate.scope == pb.SCOPE_CANDIDATES
    assert (certificate.collection_size, certificate.recalled) == (30, 20)
    assert certificate.pruned + certificate.solved == 20
    assert certificate.kth_score == response.hits[-1].score
    assert response.collection_version >= 1


def test_a_search_of_every_image_is_proven_over_the_collection(ask) -> None:
    assert ask(k=3, candidates=30).certificate.scope == pb.SCOPE_COLLECTION


def test_more_hits_than_images_are_all_images(ask) -> None:
    assert len(ask(k=100).hits) == 30


def test_a_hit_carries_what_was_asked_for_and_nothing_else(ask) -> None:
    bare = ask(k=1).hits[0]
    assert not bare.metadata
    assert not bare.thumbnail
    assert not bare.HasField("scores")
    assert not bare.HasField("matches")
    full = ask(
        k=1,
        include_scores=True,
        include_matches=True,
        include_thumbnail=True,
        metadata=types.MetadataSelector(all=True),
    ).hits[0]
    assert full.thumbnail == b"jpeg 7"
    assert full.scores.cosine == full.score
    assert full.scores.spatio_semantic == pytest.approx(1)
    assert full.image_size == types.ImageSize(width=300, height=200)
    assert full.metadata["seed"].int_value == 7
    assert full.metadata["even"].bool_value is False
    assert full.metadata["half"].double_value == 3.5
    assert full.metadata["name"].string_value == "n7"
    assert [value.WhichOneof("kind") for value in full.metadata["tags"].list_value.values] == [
        "string_value",
        "int_value",
    ]
    assert full.metadata["no"].WhichOneof("kind") is None


def test_metadata_may_be_chosen_by_name(ask) -> None:
    hit = ask(k=1, metadata=types.MetadataSelector(fields=["name", "unknown"])).hits[0]
    assert dict(hit.metadata) == {"name": types.Value(string_value="n7")}


def test_matches_are_strongest_first_with_boxes_in_pixels(ask) -> None:
    matches = ask(k=1, include_matches=True).hits[0].matches
    assert sorted(matches.query_tokens) == list(range(6))
    assert list(matches.query_tokens) == list(matches.hit_tokens)
    assert list(matches.affinities) == sorted(matches.affinities, reverse=True)
    np.testing.assert_allclose(matches.cosines, 1, atol=1e-9)
    boxes = np.reshape(matches.query_boxes, (-1, 4))
    last = list(matches.query_tokens).index(5)
    assert boxes[last].tolist() == [200, 100, 300, 200]
    assert matches.hit_grid == types.Grid(rows=2, columns=3)


@pytest.mark.parametrize("kernel", [types.KERNEL_INNER_PRODUCT, types.KERNEL_RBF])
def test_the_kernel_that_ranked_is_told(ask, kernel) -> None:
    response = ask(k=2, kernel=kernel, include_scores=True)
    assert response.kernel == kernel
    scores = response.hits[0].scores
    expected = {types.KERNEL_INNER_PRODUCT: scores.inner_product, types.KERNEL_RBF: scores.rbf}
    assert response.hits[0].score == expected[kernel]


def test_hits_below_min_score_are_left_out(ask) -> None:
    assert [hit.id for hit in ask(min_score=0.99).hits] == ["set-07"]


def test_a_batch_answers_each_query_and_one_bad_query_does_not_fail_the_others(server, photos, make_set) -> None:
    queries = [
        types.Query(image=photos[0].read_bytes()),
        types.Query(image=b"not an image"),
        types.Query(id="no such photo"),
        types.Query(id=photos[1].name),
        types.Query(),
        _set(make_set(1)),
        types.Query(image=photos[2].read_bytes()),
    ]
    request = pb.SearchBatchRequest(collection="photos", queries=queries, options=pb.SearchOptions(k=1))
    items = server.search.SearchBatch(request).items
    found = [item.response.hits[0].id if item.HasField("response") else item.error.reason for item in items]
    assert found == [
        photos[0].name,
        "INVALID_IMAGE",
        "NOT_FOUND",
        photos[1].name,
        "INVALID_INPUT",
        "INCOMPATIBLE",
        photos[2].name,
    ]
    fields = [item.error.field for item in items if item.HasField("error")]
    assert fields == ["queries[1].image", "queries[2].id", "queries[4]", "queries[5].features.tokens"]
    assert [item.error.code for item in items if item.HasField("error")] == [3, 5, 3, 9]


def test_a_batch_scores_as_the_single_searches_do(server, photos) -> None:
    queries = [types.Query(image=photo.read_bytes()) for photo in photos[:3]]
    batch = server.search.SearchBatch(pb.SearchBatchRequest(collection="photos", queries=queries))
    for query, item in zip(queries, batch.items, strict=True):
        single = server.search.Search(pb.SearchRequest(collection="photos", query=query))
        assert [hit.id for hit in single.hits] == [hit.id for hit in item.response.hits]
        np.testing.assert_allclose(
            [hit.score for hit in single.hits], [hit.score for hit in item.response.hits], atol=2e-3
        )


def test_an_empty_batch_has_no_items(server) -> None:
    assert not server.search.SearchBatch(pb.SearchBatchRequest(collection="sets")).items


def test_rerank_scores_the_callers_candidates_and_names_the_missing(server, make_set) -> None:
    request = pb.RerankRequest(
        collection="sets",
        query=_set(make_set(3)),
        ids=["set-05", "gone", "set-03"],
        candidates=[pb.Candidate(id="mine", features=features_to_proto(make_set(99)))],
    )
    response = server.search.Rerank(request)
    assert response.hits[0].id == "set-03"
    assert sorted(hit.id for hit in response.hits) == ["mine", "set-03", "set-05"]
    assert list(response.missing_ids) == ["gone"]
    assert response.certificate.scope == pb.SCOPE_CANDIDATES
    assert response.certificate.recalled == 3


def test_rerank_may_keep_the_best_only(server, make_set) -> None:
    request = pb.RerankRequest(
        collection="sets",
        query=_set(make_set(3)),
        ids=[f"set-{i:02}" for i in range(10)],
        options=pb.SearchOptions(k=2, include_matches=True),
    )
    hits = server.search.Rerank(request).hits
    assert len(hits) == 2
    assert hits[0].matches.query_tokens


def test_rerank_of_nothing_is_nothing(server, make_set) -> None:
    assert not server.search.Rerank(pb.RerankRequest(collection="sets", query=_set(make_set(3)))).hits


def test_compare_tells_every_score_and_the_matches(server, make_set) -> None:
    request = pb.CompareRequest(
        collection="sets", a=_set(make_set(3)), b=types.Query(id="set-04"), include_matches=True
    )
    response = server.search.Compare(request)
    search = pb.SearchRequest(
        collection="sets",
        query=_set(make_set(3)),
        options=pb.SearchOptions(k=30, candidates=30, include_scores=True),
    )
    hit = next(hit for hit in server.search.Search(search).hits if hit.id == "set-04")
    assert response.scores == hit.scores
    assert len(response.matches.query_tokens) == 6
    assert response.timings.rerank_ms > 0


def test_compare_takes_two_images(server, photos) -> None:
    image = types.Query(image=photos[0].read_bytes() + b"asked with for the first time")
    response = server.search.Compare(pb.CompareRequest(collection="photos", a=image, b=image))
    assert response.scores.cosine == pytest.approx(1)
    assert response.timings.extract_ms > 0
    assert not response.HasField("matches")


def _box(left: float, top: float, right: float, bottom: float) -> types.Region:
    return types.Region(box=types.Box(left=left, top=top, right=right, bottom=bottom))


def test_an_exhaustive_search_is_proven_over_the_collection(ask) -> None:
    everything = ask(k=3, exhaustive=True)
    assert everything.certificate.scope == pb.SCOPE_COLLECTION
    assert everything.certificate.recalled == 30
    assert list(everything.hits) == list(ask(k=3, candidates=30).hits)
    stages = everything.certificate.stages
    assert stages.gate + stages.gate_dual + stages.bound + stages.dual == everything.certificate.pruned
    assert not ask(k=3).HasField("query_features")


def test_a_region_is_found_by_how_much_of_it_is_there(ask, make_set) -> None:
    query = _set(make_set(7))
    query.region.CopyFrom(_box(0, 0, 200, 100))  # the two left cells of the upper row
    response = ask(query, k=2, include_matches=True, include_scores=True)
    assert response.kernel == types.KERNEL_CONTAINMENT
    assert response.hits[0].id == "set-07"
    assert response.hits[0].score == response.hits[0].scores.containment == pytest.approx(1)
    matches = response.hits[0].matches
    assert sorted(matches.query_tokens) == sorted(matches.hit_tokens) == [0, 1]
    assert matches.query_grid == types.Grid(rows=2, columns=3)
    assert np.reshape(matches.query_boxes, (-1, 4)).max() == 200
    assert ask(query, k=1, kernel=types.KERNEL_COSINE).kernel == types.KERNEL_COSINE


def test_a_mask_chooses_the_tokens_under_it(ask) -> None:
    mask = types.Mask(rows=2, columns=3, bits=bytes([0b00001100]))
    query = types.Query(id="set-04", region=types.Region(mask=mask))
    matches = ask(query, k=1, include_matches=True).hits[0].matches
    assert sorted(matches.query_tokens) == [4, 5]


def test_a_photo_is_asked_with_by_its_region(server, photos) -> None:
    query = types.Query(image=photos[3].read_bytes(), region=_box(0, 0, 100, 100))
    response = server.search.Search(pb.SearchRequest(collection="photos", query=query, options=pb.SearchOptions(k=2)))
    assert response.hits[0].id == photos[3].name
    assert response.hits[0].score == pytest.approx(1, abs=1e-9)


def test_a_server_may_search_regions_by_recall_and_then_says_so(serving, sets_path) -> None:
    request = pb.SearchRequest(
        query=types.Query(id="set-04", region=_box(0, 0, 100, 100)), options=pb.SearchOptions(k=1)
    )
    with serving([sets_path], ServerSettings(port=0, device="cpu", region_limit=3)) as stubs:
        request.options.candidates = 10
        response = stubs.search.Search(request)
        assert response.certificate.scope == pb.SCOPE_CANDIDATES
        assert "30 whole images" in response.warnings[0]
        request.options.ClearField("candidates")
        request.options.exhaustive = True
        assert not stubs.search.Search(request).warnings


def test_each_query_of_a_batch_has_a_region_of_its_own(server) -> None:
    queries = [
        types.Query(id="set-01"),
        types.Query(id="set-02", region=_box(0, 0, 100, 100)),
        types.Query(id="set-03", region=_box(900, 0, 901, 100)),
        types.Query(id="set-03", region=types.Region()),
    ]
    request = pb.SearchBatchRequest(collection="sets", queries=queries, options=pb.SearchOptions(k=1))
    items = server.search.SearchBatch(request).items
    assert [item.response.kernel for item in items[:2]] == [types.KERNEL_COSINE, types.KERNEL_CONTAINMENT]
    assert [item.error.field for item in items[2:]] == ["queries[2].region", "queries[3].region"]


def test_proofs_come_with_the_set_that_was_asked_with(server, ask, make_set) -> None:
    query = _set(make_set(7))
    query.region.CopyFrom(_box(0, 0, 200, 100))
    for asked, tokens in ((_set(make_set(7)), []), (query, [0, 1])):
        response = ask(asked, k=2, include_proof=True, kernel=types.KERNEL_COSINE)
        assert response.query_features.stage == types.STAGE_ENCODED
        assert list(response.query_features.tokens.shape) == [6, 16]
        proof = response.hits[0].proof
        assert list(proof.query_tokens) == tokens
        assert len(proof.row_prices) == len(proof.hit_tokens) == len(tokens or range(6))
        assert len(proof.column_prices) == 6
        assert sum(proof.row_prices) + sum(proof.column_prices) == pytest.approx(proof.value, rel=1e-12)
        assert response.certificate.largest_gap >= proof.gap
    reranked = server.search.Rerank(
        pb.RerankRequest(collection="sets", query=query, ids=["set-07"], options=pb.SearchOptions(include_proof=True))
    )
    assert reranked.hits[0].proof.kernel == types.KERNEL_CONTAINMENT
    assert reranked.query_features.HasField("tokens")


def test_compare_takes_regions_and_containment(server, make_set) -> None:
    request = pb.CompareRequest(
        collection="sets", a=_set(make_set(3)), b=types.Query(id="set-03"), include_matches=True
    )
    assert not server.search.Compare(request).scores.HasField("containment")
    request.a.region.CopyFrom(_box(0, 0, 200, 100))
    request.b.region.CopyFrom(_box(0, 0, 100, 200))
    response = server.search.Compare(request)
    assert 0 < response.scores.containment < 1
    assert set(response.matches.query_tokens) == {0, 1}
    assert set(response.matches.hit_tokens) == {0, 3}
    request.b.region.CopyFrom(_box(301, 0, 400, 200))
    assert server.failure(server.search.Compare, request).violations[0].field == "b.region"


@pytest.mark.parametrize(
    ("region", "field"),
    [
        (types.Region(), "query.region"),
        (_box(10, 0, 10, 5), "query.region.box"),
        (_box(0, 0, float("nan"), 5), "query.region.box"),
        (_box(301, 0, 400, 5), "query.region"),
        (types.Region(mask=types.Mask(rows=2, columns=3, bits=b"")), "query.region.mask"),
        (types.Region(mask=types.Mask(rows=0, columns=3)), "query.region.mask"),
        (types.Region(mask=types.Mask(rows=2, columns=3, bits=b"\0")), "query.region.mask"),
        (types.Region(mask=types.Mask(rows=300, columns=20, bits=b"\xff" * 750)), "query.region.mask"),
        (types.Region(mask=types.Mask(rows=1 << 20, columns=1 << 20, bits=b"\xff")), "query.region.mask"),
    ],
)
def test_a_region_that_means_nothing_is_refused_naming_its_field(server, region, field) -> None:
    query = types.Query(id="set-04", region=region)
    failure = server.failure(server.search.Search, pb.SearchRequest(collection="sets", query=query))
    assert failure.status.code == 3
    assert failure.violations[0].field == field


def test_options_that_contradict_each_other_are_refused(server) -> None:
    query = types.Query(id="set-04")
    options = pb.SearchOptions(candidates=20, exhaustive=True)
    failure = server.failure(server.search.Search, pb.SearchRequest(collection="sets", query=query, options=options))
    assert failure.violations[0].field == "options.candidates"
    rerank = pb.RerankRequest(collection="sets", query=query, options=pb.SearchOptions(exhaustive=True))
    assert server.failure(server.search.Rerank, rerank).violations[0].field == "options.exhaustive"
