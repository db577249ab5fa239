"""The server in process: equal answers and equal errors to those of the wire."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from setwise_engine.errors import EngineError, FormatError, NotFound
from setwise_proto.v1 import collections_pb2, filters_pb2, images_pb2, search_pb2, server_pb2
from setwise_proto.v1 import types_pb2 as types
from setwise_server._servicer import PATHS, STREAMS
from setwise_server._tensors import features_to_proto
from setwise_server.local import open_local


@pytest.fixture
def local(sets_path, tmp_path):
    """A copy of the collection in process."""
    with open_local(shutil.copytree(sets_path, tmp_path / "local" / "sets.setwise")) as local:
        yield local


@pytest.fixture
def alone(serving, sets_path, tmp_path):
    """Another copy, on the wire."""
    with serving([shutil.copytree(sets_path, tmp_path / "wire" / "sets.setwise")]) as stubs:
        yield stubs


def _requests(make_set, make_item):
    query = types.Query(features=features_to_proto(make_set(5)))
    stored = types.Query(id="set-04")
    full = search_pb2.SearchOptions(
        k=4,
        include_scores=True,
        include_matches=True,
        include_thumbnail=True,
        metadata=types.MetadataSelector(all=True),
    )
    bad = search_pb2.SearchOptions(k=0)
    even = filters_pb2.Filter(equals=filters_pb2.Equals(field="even", value=types.Value(bool_value=True)))
    some = search_pb2.SearchOptions(where=even, group_by="half", group_size=2)
    return {
        "/setwise.v1.SearchService/Search": [
            search_pb2.SearchRequest(query=query, options=full),
            search_pb2.SearchRequest(query=stored),
            search_pb2.SearchRequest(query=stored, options=bad),
            search_pb2.SearchRequest(query=stored, options=some),
            search_pb2.SearchRequest(query=types.Query(image=b"x")),
            search_pb2.SearchRequest(collection="nope", query=stored),
        ],
        "/setwise.v1.SearchService/SearchBatch": [
            search_pb2.SearchBatchRequest(queries=[query, stored, types.Query()], options=full)
        ],
        "/setwise.v1.SearchService/Rerank": [
            search_pb2.RerankRequest(query=query, ids=["set-01", "gone"], options=search_pb2.SearchOptions(k=1))
        ],
        "/setwise.v1.SearchService/Compare": [search_pb2.CompareRequest(a=query, b=stored, include_matches=True)],
        "/setwise.v1.ImageService/GetImage": [
            images_pb2.GetImageRequest(id="set-01", include_thumbnail=True, include_features=True),
            images_pb2.GetImageRequest(id="gone"),
        ],
        "/setwise.v1.ImageService/ListImages": [
            images_pb2.ListImagesRequest(page_size=3),
            images_pb2.ListImagesRequest(page_token="#"),
        ],
        "/setwise.v1.ImageService/CountImages": [images_pb2.CountImagesRequest(where=even)],
        "/setwise.v1.ImageService/UpsertImages": [
            images_pb2.UpsertImagesRequest(images=[make_item("new", 40, year=1), images_pb2.ImageInput(id="bad")])
        ],
        "/setwise.v1.ImageService/UpdateMetadata": [
            images_pb2.UpdateMetadataRequest(changes=[images_pb2.MetadataChange(id="set-01", remove=["name"])])
        ],
        "/setwise.v1.ImageService/DeleteImages": [
            images_pb2.DeleteImagesRequest(ids=["set-02", "gone"]),
            images_pb2.DeleteImagesRequest(where=even),
            images_pb2.DeleteImagesRequest(),
        ],
        "/setwise.v1.CollectionService/ListCollections": [collections_pb2.ListCollectionsRequest()],
        "/setwise.v1.CollectionService/GetCollection": [
            collections_pb2.GetCollectionRequest(name="sets"),
            collections_pb2.GetCollectionRequest(name="nope"),
        ],
        "/setwise.v1.CollectionService/CreateCollection": [collections_pb2.CreateCollectionRequest(name="new")],
        "/setwise.v1.CollectionService/DropCollection": [collections_pb2.DropCollectionRequest(name="sets")],
        "/setwise.v1.CollectionService/SetAlias": [collections_pb2.SetAliasRequest(alias="a", collection="sets")],
        "/setwise.v1.CollectionService/DeleteAlias": [collections_pb2.DeleteAliasRequest(alias="a")],
        "/setwise.v1.CollectionService/ListAliases": [collections_pb2.ListAliasesRequest()],
        "/setwise.v1.CollectionService/CompactCollection": [collections_pb2.CompactCollectionRequest(name="nope")],
        "/setwise.v1.ServerService/GetServerInfo": [server_pb2.GetServerInfoRequest()],
    }


def _without_times(response):
    for message in (response, *(item.response for item in getattr(response, "items", ()))):
        if message is not None and "timings" in message.DESCRIPTOR.fields_by_name:
            message.ClearField("timings")
    return response


def test_every_method_answers_and_fails_as_on_the_wire(local, alone, make_set, make_item, failure_of) -> None:
    requests = _requests(make_set, make_item)
    assert set(requests) == PATHS - STREAMS
    for path, cases in requests.items():
        for request in cases:
            status, here = local.call(path, request)
            rpc = alone.channel.unary_unary(
                path,
                request_serializer=type(request).SerializeToString,
                response_deserializer=None if here is None else type(here).FromString,
            )
            if here is None:
                assert alone.failure(rpc, request) == failure_of(status)
            else:
                assert status.code == 0
                assert _without_times(rpc(request)) == _without_times(here)


def test_a_stream_answers_as_on_the_wire(local, alone, make_item) -> None:
    images = [make_item("a", 50), images_pb2.ImageInput(id="bad"), make_item("b", 51), make_item("set-03", 3)]
    requests = [
        images_pb2.UpsertRequest(start=images_pb2.UpsertStart()),
        images_pb2.UpsertRequest(data=images_pb2.UpsertData(images=images)),
    ]
    *answers, (end, nothing) = local.stream("/setwise.v1.ImageService/Upsert", iter(requests))
    assert (end.code, nothing) == (0, None)
    here = [message for status, message in answers if status.code == 0]
    there = list(alone.images.Upsert(iter(requests)))
    assert here[0] == there[0]
    assert _results(here) == _results(there)
    assert len(_results(here)) == 4


def _results(replies):
    return sorted((result for reply in replies for result in reply.acks.results), key=lambda result: result.number)


def test_a_method_of_the_other_kind_is_unknown(local) -> None:
    ((status, _),) = local.stream("/setwise.v1.ImageService/GetImage", [])
    assert status.code == grpc.StatusCode.UNIMPLEMENTED.value[0]
    status, _ = local.call("/setwise.v1.ImageService/Upsert", images_pb2.UpsertRequest())
    assert status.code == grpc.StatusCode.UNIMPLEMENTED.value[0]


def test_an_image_query_loads_the_network_when_it_comes(photos_path, photos, extractor) -> None:
    with open_local(str(photos_path)) as local:
        info = server_pb2.GetServerInfoRequest()
        assert not local.call("/setwise.v1.ServerService/GetServerInfo", info)[1].models
        query = types.Query(image=photos[4].read_bytes())
        status, response = local.call("/setwise.v1.SearchService/Search", search_pb2.SearchRequest(query=query))
        assert status.code == 0
        assert response.hits[0].id == photos[4].name
        (model,) = local.call("/setwise.v1.ServerService/GetServerInfo", info)[1].models
        assert model.fingerprint == extractor.info.fingerprint


def test_many_threads_may_ask_at_once(local) -> None:
    def ask(seed: int) -> str:
        request = search_pb2.SearchRequest(query=types.Query(id=f"set-{seed:02}"))
        return local.call("/setwise.v1.SearchService/Search", request)[1].hits[0].id

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(30))) == [f"set-{seed:02}" for seed in range(30)]


def test_a_timeout_is_a_deadline(local) -> None:
    request = search_pb2.SearchRequest(query=types.Query(id="set-01"))
    status, response = local.call("/setwise.v1.SearchService/Search", request, timeout=0.0)
    assert response is None
    assert status.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]


def test_an_unknown_method_is_unimplemented(local) -> None:
    status, _ = local.call("/setwise.v1.SearchService/Nope", search_pb2.SearchRequest())
    assert status.code == grpc.StatusCode.UNIMPLEMENTED.value[0]


@pytest.mark.parametrize(("make", "error"), [(None, NotFound), ("folder", FormatError), ("file", EngineError)])
def test_what_is_no_collection_is_refused_by_its_path(tmp_path, make, error) -> None:
    path = tmp_path / "x.setwise"
    if make == "folder":
        path.mkdir()
        (path / "readme.txt").write_text("hello")
    elif make == "file":
        path.write_text("hello")
    with pytest.raises(error, match=r"x\.setwise"):
        open_local(str(path))
