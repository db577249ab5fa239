"""CollectionService and ServerService over the wire."""

from __future__ import annotations

from importlib.metadata import version

from setwise_proto.v1 import collections_pb2 as pb
from setwise_proto.v1 import server_pb2


def test_collections_are_listed_by_name(server) -> None:
    listed = server.collections.ListCollections(pb.ListCollectionsRequest()).collections
    assert [collection.name for collection in listed] == ["photos", "sets"]


def test_a_collection_tells_how_it_was_made(server, extractor, encoder) -> None:
    photos = server.collections.GetCollection(pb.GetCollectionRequest(name="photos")).collection
    assert (photos.images, photos.tokens) == (10, 10 * extractor.info.tokens)
    assert (photos.model, photos.model_fingerprint) == (extractor.info.name, extractor.info.fingerprint)
    assert (photos.image_size, photos.dims) == (extractor.info.image_size, encoder.dims)
    assert (photos.encoder_fingerprint, photos.sigma) == (encoder.fingerprint, encoder.sigma)
    assert photos.indexed == 10
    assert photos.bytes > 10 * 100 * 256 * 2
    assert len(photos.uuid) == 36
    assert photos.version >= 1
    assert photos.coarse


def test_ready_made_sets_have_no_model(server) -> None:
    sets = server.collections.GetCollection(pb.GetCollectionRequest(name="sets")).collection
    assert (sets.model, sets.image_size, sets.dims, sets.images) == ("", 0, 16, 30)


def test_the_name_may_be_left_out_only_where_there_is_one(server, serving, sets_path) -> None:
    assert server.failure(server.collections.GetCollection, pb.GetCollectionRequest()).violations[0].field == "name"
    with serving([sets_path]) as alone:
        assert alone.collections.GetCollection(pb.GetCollectionRequest()).collection.name == "sets"


def test_the_server_tells_its_version_limits_and_models(server, extractor) -> None:
    info = server.server.GetServerInfo(server_pb2.GetServerInfoRequest())
    assert (info.version, info.api_version) == (version("setwise"), "v1")
    assert [model.fingerprint for model in info.models] == [extractor.info.fingerprint]
    assert info.models[0].grid.rows * info.models[0].grid.columns == extractor.info.tokens
    limits = info.limits
    assert limits.max_message_bytes == 16 * 1024 * 1024
    assert limits.max_image_bytes < limits.max_message_bytes
    assert limits.default_candidates >= 10
    assert (limits.max_k, limits.max_candidates, limits.max_batch) == (1000, 20_000, 32)
    assert limits.max_concurrent >= 1
    assert limits.max_queue == 64
    assert {"numpy", "torch", "faiss-cpu", "grpcio", "kernel"} <= set(info.libraries)
