"""A collection's life over the wire: made, filled, replaced by another behind its alias, dropped; on two servers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from setwise_proto.v1 import collections_pb2 as pb
from setwise_proto.v1 import images_pb2 as images
from setwise_proto.v1 import search_pb2
from setwise_proto.v1 import types_pb2 as types
from setwise_server import ServerSettings
from setwise_server._tensors import features_to_proto


@pytest.fixture
def two(serving: Callable[..., Any], tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    """Stubs of two servers over one folder, which is empty."""
    with ExitStack() as stack:
        settings = ServerSettings(port=0, device="cpu", root=tmp_path, commit_ms=5)
        yield tuple(stack.enter_context(serving([], settings)) for _ in range(2))


@pytest.fixture
def inputs(make_set: Callable[[int], Any]) -> Callable[[range], list[images.ImageInput]]:
    """Ready-made sets as images to send."""

    def make(seeds: range) -> list[images.ImageInput]:
        return [images.ImageInput(id=f"set-{seed}", features=features_to_proto(make_set(seed))) for seed in seeds]

    return make


def create(stubs: Any, name: str, **options: Any) -> pb.Collection:
    request = pb.CreateCollectionRequest(name=name, features=True, **({"dims": 16} | options))
    return stubs.collections.CreateCollection(request).collection


def upsert(stubs: Any, collection: str, sent: list[images.ImageInput]) -> images.UpsertImagesResponse:
    return stubs.images.UpsertImages(images.UpsertImagesRequest(collection=collection, images=sent))


def hits(stubs: Any, collection: str, id: str) -> list[str]:
    request = search_pb2.SearchRequest(collection=collection, query=types.Query(id=id))
    return [hit.id for hit in stubs.search.Search(request).hits]


def soon(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 1.0
    while time.monotonic() < until and not condition():
        time.sleep(0.02)
    return condition()


def names(stubs: Any) -> list[str]:
    return [each.name for each in stubs.collections.ListCollections(pb.ListCollectionsRequest()).collections]


def test_what_one_server_makes_and_fills_the_other_serves(two, inputs) -> None:
    one, other = two
    create(one, "sets")
    assert upsert(one, "sets", inputs(range(5))).collection_version == 1
    assert soon(lambda: names(other) == ["sets"])
    assert hits(other, "sets", "set-3")[0] == "set-3"
    upsert(other, "sets", inputs(range(5, 8)))
    assert hits(one, "sets", "set-7")[0] == "set-7"  # at once: every search reads the newest version
    one.collections.DropCollection(pb.DropCollectionRequest(name="sets"))
    assert soon(lambda: names(other) == [])


def test_nothing_is_stored_before_the_encoder_is_there_and_all_is_afterwards(two, inputs) -> None:
    one, _ = two
    create(one, "sets", encoder=pb.ENCODER_SOURCE_FIT, dims=8)
    refused = one.failure(
        one.images.UpsertImages, images.UpsertImagesRequest(collection="sets", images=inputs(range(2)))
    )
    assert refused.status.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    start = images.UpsertRequest(start=images.UpsertStart(collection="sets"))
    with pytest.raises(grpc.RpcError) as caught:
        list(one.images.Upsert(iter([start])))
    assert "FitEncoder" in caught.value.details()
    one.collections.FitEncoder(
        iter(
            [
                pb.FitEncoderRequest(start=pb.FitEncoderStart(collection="sets")),
                pb.FitEncoderRequest(data=pb.FitEncoderData(images=inputs(range(9)))),
            ]
        )
    )
    upsert(one, "sets", inputs(range(3)))
    assert hits(one, "sets", "set-1")[0] == "set-1"


def test_a_rebuilt_collection_takes_the_place_of_the_old_one_behind_the_alias(two, inputs) -> None:
    one, other = two
    for name, seeds in (("v1", range(4)), ("v2", range(10, 14))):
        create(one, name)
        upsert(one, name, inputs(seeds))
    one.collections.SetAlias(pb.SetAliasRequest(alias="sets", collection="v1"))
    listed = other.collections.ListAliases
    assert soon(lambda: len(listed(pb.ListAliasesRequest()).aliases) == 1)  # it follows the collections first
    assert hits(other, "sets", "set-2")[0] == "set-2"
    one.collections.SetAlias(pb.SetAliasRequest(alias="sets", collection="v2"))
    assert hits(one, "sets", "set-12")[0] == "set-12"
    assert soon(lambda: listed(pb.ListAliasesRequest()).aliases[0].collection == "v2")
    upsert(other, "sets", inputs(range(20, 21)))
    assert hits(one, "v2", "set-20")[0] == "set-20"
    one.collections.DropCollection(pb.DropCollectionRequest(name="v1"))


def test_a_drop_in_the_middle_of_a_stream_loses_nothing_that_was_acknowledged_before(two, inputs) -> None:
    one, _ = two
    create(one, "sets")
    go_on = threading.Event()

    def requests() -> Iterator[images.UpsertRequest]:
        yield images.UpsertRequest(start=images.UpsertStart(collection="sets"))
        yield images.UpsertRequest(data=images.UpsertData(images=inputs(range(3))))
        go_on.wait(10)
        yield images.UpsertRequest(data=images.UpsertData(images=inputs(range(3, 6))))

    replies = one.images.Upsert(requests())
    done = 0
    while done < 3:
        done += len(next(replies).acks.results)
    one.collections.DropCollection(pb.DropCollectionRequest(name="sets"))
    create(one, "sets")
    go_on.set()
    results = []
    try:
        for reply in replies:
            results += reply.acks.results
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND
    assert all(result.WhichOneof("outcome") == "error" for result in results)
    request = images.CountImagesRequest(collection="sets")
    assert one.images.CountImages(request).count == 0
