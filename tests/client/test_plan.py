"""Many queries travel in few calls, and one bad query stays alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message

import setwise
from setwise_proto.v1 import images_pb2, search_pb2, server_pb2, types_pb2

Answer = Callable[[Message], Message]


def server(max_message_bytes: int = 1 << 20, max_batch: int = 4, max_image_bytes: int = 1 << 19) -> Answer:
    """Answers GetServerInfo with these limits, and every query of a batch with a hit that bears its id or size."""
    limits = server_pb2.Limits(
        max_message_bytes=max_message_bytes, max_batch=max_batch, max_image_bytes=max_image_bytes
    )

    def answer(request: Message) -> Message:
        if isinstance(request, server_pb2.GetServerInfoRequest):
            return server_pb2.GetServerInfoResponse(limits=limits)
        assert isinstance(request, search_pb2.SearchBatchRequest)
        assert request.ByteSize() <= max_message_bytes
        names = [query.id or str(len(query.image)) for query in request.queries]
        responses = [search_pb2.SearchResponse(hits=[search_pb2.Hit(id=name)]) for name in names]
        return search_pb2.SearchBatchResponse(items=[search_pb2.SearchBatchItem(response=one) for one in responses])

    return answer


def ids(count: int) -> list[setwise.Id]:
    return [setwise.Id(f"image-{number}") for number in range(count)]


def names(outcomes: list[setwise.Hits | setwise.SetwiseError]) -> list[str]:
    return [outcome[0].id if isinstance(outcome, setwise.Hits) else type(outcome).__name__ for outcome in outcomes]


def batches(transport: Any) -> list[int]:
    return [len(request.queries) for name, request, _ in transport.calls if name == "SearchBatch"]


def test_batches_hold_no_more_queries_than_the_server_takes(script: Any) -> None:
    transport = script(server(max_batch=4))
    with setwise.connect("localhost:1", transport=transport) as client:
        assert names(client.search_many(ids(10))) == [f"image-{number}" for number in range(10)]
    assert batches(transport) == [4, 4, 2]


def test_batches_hold_no_more_bytes_than_the_server_takes(script: Any) -> None:
    transport = script(server(max_message_bytes=100_000, max_batch=100))
    pictures = [bytes(30_000 + size) for size in range(7)]
    with setwise.connect("localhost:1", transport=transport) as client:
        assert names(client.search_many(pictures)) == [str(30_000 + size) for size in range(7)]
    assert batches(transport) == [3, 3, 1]


def test_limits_are_learned_once(script: Any) -> None:
    transport = script(server())
    with setwise.connect("localhost:1", transport=transport) as client:
        client.search_many(ids(1))
        client.search_many(ids(1))
    assert [name for name, _, _ in transport.calls] == ["GetServerInfo", "SearchBatch", "SearchBatch"]


def test_one_bad_query_does_not_fail_the_others(script: Any) -> None:
    too_large = bytes(1 << 20)
    with setwise.connect("localhost:1", transport=script(server())) as client:
        outcomes = client.search_many([*ids(1), Path("missing.jpg"), too_large, b"12345"])
    assert names(outcomes) == ["image-0", "NotFoundError", "InvalidArgumentError", "5"]


def test_the_servers_error_for_one_query_stands_in_its_place(script: Any) -> None:
    def answer(request: Message) -> Message:
        if isinstance(request, server_pb2.GetServerInfoRequest):
            return server()(request)
        error = types_pb2.ItemError(code=5, message="no image-0", reason="NOT_FOUND", field="queries[0]")
        return search_pb2.SearchBatchResponse(items=[search_pb2.SearchBatchItem(error=error)])

    with setwise.connect("localhost:1", transport=script(answer)) as client:
        (outcome,) = client.search_many(ids(1))
    assert isinstance(outcome, setwise.NotFoundError)
    assert (outcome.message, outcome.reason, outcome.field) == ("no image-0", "NOT_FOUND", "queries[0]")


def test_answers_that_do_not_fit_in_one_reply_are_asked_for_in_halves(script: Any) -> None:
    def answer(request: Message) -> Message:
        if isinstance(request, search_pb2.SearchBatchRequest) and (
            len(request.queries) > 2 or "image-5" in [query.id for query in request.queries]
        ):
            raise setwise.ResourceExhaustedError("too much", reason="REPLY_TOO_LARGE")
        return server(max_batch=8)(request)

    with setwise.connect("localhost:1", transport=script(answer)) as client:
        outcomes = client.search_many(ids(8))
    assert names(outcomes) == [*(f"image-{n}" for n in range(5)), "ResourceExhaustedError", "image-6", "image-7"]


def test_what_fails_a_whole_batch_is_raised(script: Any) -> None:
    info = server()(server_pb2.GetServerInfoRequest())
    transport = script(info, setwise.InvalidArgumentError("k is 5000; this server gives at most 1000"))
    with setwise.connect("localhost:1", transport=transport) as client, pytest.raises(setwise.InvalidArgumentError):
        client.search_many(ids(2), k=5000)


def test_no_queries_need_no_answer(script: Any) -> None:
    transport = script(server())
    with setwise.connect("localhost:1", transport=transport) as client:
        assert client.search_many([]) == []
    assert batches(transport) == []


@pytest.mark.parametrize("one", ["a.jpg", b"bytes", setwise.Id("x"), np.zeros((4, 4), np.uint8), 7])
def test_one_query_is_not_several(script: Any, one: Any) -> None:
    client = setwise.connect("localhost:1", transport=script(server()))
    with client, pytest.raises(setwise.InvalidArgumentError, match="is not several queries"):
        client.search_many(one)


def test_a_request_beyond_the_servers_limit_is_not_sent(script: Any) -> None:
    tokens = np.zeros((1000, 100), np.float32)
    transport = script(server(max_message_bytes=100_000))
    client = setwise.connect("localhost:1", transport=transport)
    with client, pytest.raises(setwise.InvalidArgumentError, match="the server accepts 100,000"):
        client.search(setwise.FeatureSet(tokens))
    assert [name for name, _, _ in transport.calls] == ["GetServerInfo"]


def test_candidates_are_ids_and_sets(script: Any) -> None:
    features = setwise.FeatureSet(np.ones((2, 3), np.float32))
    info = server()(server_pb2.GetServerInfoRequest())
    transport = script(info, search_pb2.RerankResponse(missing_ids=["b"]))
    with setwise.connect("localhost:1", transport=transport) as client:
        hits = client.rerank(setwise.Id("q"), ["a", setwise.Id("b"), ("mine", features)])
        client.rerank(setwise.Id("q"), {"one": features, "two": features})
    assert hits.missing == ("b",)
    first, second = (request for _, request, _ in transport.calls[1:])
    assert (list(first.ids), [one.id for one in first.candidates]) == (["a", "b"], ["mine"])
    assert [one.id for one in second.candidates] == ["one", "two"]
    assert not first.options.HasField("k")


@pytest.mark.parametrize("candidates", ["a", 5, [7], [("a", "b")]])
def test_other_candidates_are_refused(script: Any, candidates: Any) -> None:
    client = setwise.connect("localhost:1", transport=script(server()))
    with client, pytest.raises(setwise.InvalidArgumentError, match="candidates"):
        client.rerank(setwise.Id("q"), candidates)


def test_pages_are_fetched_while_iterating(script: Any) -> None:
    def page(name: str, token: str) -> Message:
        return images_pb2.ListImagesResponse(images=[images_pb2.Image(id=name)], next_page_token=token)

    info = server()(server_pb2.GetServerInfoRequest())
    transport = script(info, page("a", "2"), page("b", "3"), page("c", ""))
    with setwise.connect("localhost:1", transport=transport, collection="shoes") as client:
        images = client.list(page_size=1)
        assert transport.calls == []
        assert next(images).id == "a"
        assert len(transport.calls) == 2
        assert [image.id for image in images] == ["b", "c"]
    pages = [request for _, request, _ in transport.calls[1:]]
    assert [request.page_token for request in pages] == ["", "2", "3"]
    assert {request.collection for request in pages} == {"shoes"}
    with pytest.raises(setwise.InvalidArgumentError, match="page_size is 0"):
        client.list(page_size=0)


def test_a_call_may_name_another_collection_than_the_client(script: Any) -> None:
    transport = script(images_pb2.GetImageResponse())
    with setwise.connect("localhost:1", transport=transport, collection="shoes") as client:
        client.get("x")
        client.get("x", collection="hats")
        with pytest.raises(setwise.InvalidArgumentError, match="collection is 7"):
            client.get("x", collection=7)
    assert [request.collection for _, request, _ in transport.calls] == ["shoes", "hats"]


def test_a_reply_of_the_wrong_type_is_an_internal_error(script: Any) -> None:
    client = setwise.connect("localhost:1", transport=script(images_pb2.GetImageResponse()))
    with client, pytest.raises(setwise.InternalError, match="answered GetServerInfo with a GetImageResponse"):
        client.info()
