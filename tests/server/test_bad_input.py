"""Every mistake of a caller's: its code, its reason, the field at fault, and a sentence that helps."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from setwise_engine.feature_set import FeatureSet, Stage
from setwise_proto.v1 import collections_pb2, images_pb2
from setwise_proto.v1 import search_pb2 as pb
from setwise_proto.v1 import types_pb2 as types
from setwise_server._tensors import features_to_proto


def _bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in a few hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


@pytest.fixture
def refused(server):
    """The (code, reason, field) of a refused search, and its sentence."""

    def refused(collection: str, query: types.Query | None = None, **options):
        request = pb.SearchRequest(collection=collection, query=query, options=pb.SearchOptions(**options))
        failure = server.failure(server.search.Search, request)
        field = failure.violations[0].field if failure.violations else ""
        return (failure.status.code, failure.info.reason, field), failure.status.message

    return refused


INVALID, NOT_FOUND, PRECONDITION = 3, 5, 9


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "INVALID_IMAGE"),
        (b"hello", "INVALID_IMAGE"),
        (b"\xff\xd8\xff\xe0 cut", "INVALID_IMAGE"),
        (_bomb(), "LIMIT_EXCEEDED"),
    ],
    ids=["empty", "text", "cut", "bomb"],
)
def test_bytes_that_are_no_usable_image(refused, image: bytes, reason: str) -> None:
    told, message = refused("photos", types.Query(image=image))
    assert told == (INVALID, reason, "query.image")
    assert "image" in message


def test_a_truncated_photo(refused, photos) -> None:
    told, message = refused("photos", types.Query(image=photos[0].read_bytes()[:5000]))
    assert told == (INVALID, "INVALID_IMAGE", "query.image")
    assert "cut short" in message


def test_an_image_of_one_pixel_is_an_image(server) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1), "red").save(buffer, "PNG")
    request = pb.SearchRequest(collection="photos", query=types.Query(image=buffer.getvalue()))
    assert len(server.search.Search(request).hits) == 10


def test_an_empty_query(refused) -> None:
    told, message = refused("sets", types.Query())
    assert told == (INVALID, "INVALID_INPUT", "query")
    assert "an image, an id or a feature set" in message


def test_an_image_asked_of_ready_made_sets(refused, photos) -> None:
    told, message = refused("sets", types.Query(image=photos[0].read_bytes()))
    assert told == (PRECONDITION, "INCOMPATIBLE", "query.image")
    assert '"sets"' in message
    assert "feature set or a stored id" in message


def test_nan_in_a_feature_set(refused) -> None:
    data = np.full((2, 16), np.nan, "<f4").tobytes()
    tensor = types.Tensor(dtype=types.DTYPE_FLOAT32, shape=[2, 16], data=data)
    told, message = refused("sets", types.Query(features=types.FeatureSet(tokens=tensor, stage=types.STAGE_RAW)))
    assert told == (INVALID, "INVALID_FEATURES", "query.features.tokens")
    assert "finite" in message


def test_a_feature_set_of_other_dimensions(refused) -> None:
    query = types.Query(features=features_to_proto(FeatureSet(np.ones((2, 7), np.float32))))
    told, message = refused("sets", query)
    assert told == (PRECONDITION, "INCOMPATIBLE", "query.features.tokens")
    assert "7" in message
    assert "16" in message


def test_an_encoded_set_of_another_encoder_is_refused_naming_both(refused, server) -> None:
    features = FeatureSet(np.ones((2, 16), np.float16), stage=Stage.ENCODED, encoder="theirs")
    told, message = refused("sets", types.Query(features=features_to_proto(features)))
    described = server.collections.GetCollection(collections_pb2.GetCollectionRequest(name="sets")).collection
    assert told[:2] == (PRECONDITION, "INCOMPATIBLE")
    assert told[2].startswith("query.features")
    assert "theirs" in message
    assert described.encoder_fingerprint in message


def test_too_many_tokens(refused) -> None:
    query = types.Query(features=features_to_proto(FeatureSet(np.ones((4097, 1), np.float16))))
    told, message = refused("sets", query)
    assert told == (INVALID, "LIMIT_EXCEEDED", "query.features.tokens.shape")
    assert "4097" in message
    assert "4096" in message


def test_an_unknown_id(refused) -> None:
    told, message = refused("sets", types.Query(id="set-99"))
    assert told == (NOT_FOUND, "NOT_FOUND", "query.id")
    assert "set-99" in message


def test_an_unknown_collection_lists_the_known_ones(refused) -> None:
    told, message = refused("nope", types.Query(id="a"))
    assert told == (NOT_FOUND, "NOT_FOUND", "collection")
    assert '"nope"' in message
    assert '"photos", "sets"' in message


def test_no_name_where_there_are_several_collections(refused) -> None:
    told, message = refused("", types.Query(id="a"))
    assert told == (INVALID, "INVALID_INPUT", "collection")
    assert '"photos", "sets"' in message


@pytest.mark.parametrize(
    ("options", "field", "reason"),
    [
        ({"k": 0}, "options.k", "INVALID_INPUT"),
        ({"k": 1001}, "options.k", "LIMIT_EXCEEDED"),
        ({"k": 10, "candidates": 9}, "options.candidates", "INVALID_INPUT"),
        ({"candidates": 0}, "options.candidates", "INVALID_INPUT"),
        ({"candidates": 20_001}, "options.candidates", "LIMIT_EXCEEDED"),
        ({"kernel": 9}, "options.kernel", "INVALID_INPUT"),
        ({"min_score": float("nan")}, "options.min_score", "INVALID_INPUT"),
    ],
)
def test_options_out_of_range(refused, options, field: str, reason: str) -> None:
    told, message = refused("sets", types.Query(id="set-01"), **options)
    assert told == (INVALID, reason, field)
    assert field.removeprefix("options.") in message


def test_too_many_queries_in_a_batch(server) -> None:
    request = pb.SearchBatchRequest(collection="sets", queries=[types.Query(id="set-01")] * 33)
    failure = server.failure(server.search.SearchBatch, request)
    assert dict(failure.info.metadata) == {"limit": "max_batch", "allowed": "32", "field": "queries"}


def test_rerank_recalls_nothing(server) -> None:
    request = pb.RerankRequest(
        collection="sets", query=types.Query(id="set-01"), options=pb.SearchOptions(candidates=50)
    )
    assert server.failure(server.search.Rerank, request).violations[0].field == "options.candidates"


@pytest.mark.parametrize(("ids", "candidates"), [(["a", "a"], []), (["a"], ["a"]), ([], ["a", "a"])])
def test_a_candidate_given_twice(server, make_set, ids, candidates) -> None:
    features = features_to_proto(make_set(1))
    request = pb.RerankRequest(
        collection="sets",
        query=types.Query(id="set-01"),
        ids=ids,
        candidates=[pb.Candidate(id=name, features=features) for name in candidates],
    )
    failure = server.failure(server.search.Rerank, request)
    assert (failure.status.code, failure.violations[0].field) == (INVALID, "ids")
    assert "'a' is given twice" in failure.status.message


def test_a_bad_candidate_is_named_by_its_place(server, make_set) -> None:
    good = pb.Candidate(id="good", features=features_to_proto(make_set(1)))
    bad = pb.Candidate(id="bad", features=features_to_proto(FeatureSet(np.ones((2, 7), np.float32))))
    request = pb.RerankRequest(collection="sets", query=types.Query(id="set-01"), candidates=[good, bad])
    failure = server.failure(server.search.Rerank, request)
    assert failure.violations[0].field == "candidates[1].features.tokens"


def test_compare_says_which_side_is_at_fault(server) -> None:
    request = pb.CompareRequest(collection="sets", a=types.Query(id="set-01"), b=types.Query(id="gone"))
    assert server.failure(server.search.Compare, request).violations[0].field == "b.id"


def test_an_unknown_image(server) -> None:
    failure = server.failure(server.images.GetImage, images_pb2.GetImageRequest(collection="sets", id="gone"))
    assert (failure.status.code, failure.violations[0].field) == (NOT_FOUND, "id")


def test_a_method_that_gets_garbage_says_what_it_expected(server) -> None:
    call = server.channel.unary_unary("/setwise.v1.SearchService/Search")
    failure = server.failure(call, b"\xff\xff\xff")
    assert failure.status.code == INVALID
    assert "setwise.v1.SearchRequest" in failure.status.message
