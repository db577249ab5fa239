"""The client keeps to every limit that a server tells, and says what was too much as the server would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message
from PIL import Image

import setwise
from setwise import F
from setwise._item import prepare_items
from setwise._manners import Pace, calls_at_once, streams_at_once
from setwise._request import REQUEST_ID_KEY
from setwise._retry import Budget
from setwise._tracing import TRACE_BYTES
from setwise._values import Limits
from setwise._wire import Wire
from setwise_proto.v1 import images_pb2, search_pb2, server_pb2

TOLD = {
    "max_message_bytes": 100_000,
    "max_image_bytes": 50_000,
    "max_image_pixels": 10_000,
    "max_tokens": 20,
    "max_batch": 3,
    "max_k": 50,
    "max_candidates": 60,
    "max_concurrent": 2,
    "max_queue": 5,
    "max_filter_terms": 10,
    "max_changes": 4,
    "max_streams": 8,
    "max_streams_per_client": 6,
    "max_calls_per_second": 1000.0,
    "max_page_size": 7,
    "max_metadata_bytes": 4000,
}
HEADERS = (*Wire("a:1", None, "k" * 1024).metadata(), (REQUEST_ID_KEY, "x" * 128))
LARGEST_METADATA = sum(len(name) + len(value) + 32 for name, value in HEADERS) + TRACE_BYTES + 5 * 32 + 500
"""Bytes of the largest key, name of a request and trace, in five headers more; and of gRPC's own."""

IDS = [f"image-{number}" for number in range(100)]


def tokens(count: int) -> setwise.FeatureSet:
    return setwise.FeatureSet(np.ones((count, 4), np.float32))


TOO_MUCH: dict[str, Callable[[setwise.Client], Any]] = {
    "max_message_bytes": lambda c: c.search(setwise.FeatureSet(np.ones((20, 4000), np.float32))),
    "max_image_bytes": lambda c: c.search(bytes(50_001)),
    "max_image_pixels": lambda c: c.search(np.zeros((101, 100), np.uint8)),
    "max_tokens": lambda c: c.search(tokens(21)),
    "max_k": lambda c: c.search(setwise.Id("a"), k=51),
    "max_candidates": lambda c: c.search(setwise.Id("a"), candidates=61),
    "max_filter_terms": lambda c: c.search(setwise.Id("a"), where=F("a").in_(range(10))),
}
OTHER_WAYS: list[tuple[str, Callable[[setwise.Client], Any]]] = [
    ("max_image_bytes", lambda c: c.compare(setwise.Id("a"), bytes(50_001))),
    ("max_image_pixels", lambda c: c.search(Image.new("L", (101, 100)))),
    ("max_image_pixels", lambda c: c.search(setwise.Id("a"), region=np.ones((101, 100), np.bool_))),
    ("max_tokens", lambda c: c.rerank(setwise.Id("a"), {"mine": tokens(21)})),
    ("max_candidates", lambda c: c.rerank(setwise.Id("a"), IDS[:61])),
    ("max_k", lambda c: c.search_many([setwise.Id("a")], k=51)),
    ("max_k", lambda c: c.rerank(setwise.Id("a"), ["b"], k=51)),
    ("max_filter_terms", lambda c: c.count(where=~((F("a") == 1) & F("b").in_(range(9))))),
    ("max_filter_terms", lambda c: list(c.list(where=F("a").in_(range(10))))),
    ("max_filter_terms", lambda c: c.delete(where=F("a").in_(range(10)))),
]


def answer(request: Message) -> Message:
    """What a server says that holds 100 images."""
    match request:
        case server_pb2.GetServerInfoRequest():
            return server_pb2.GetServerInfoResponse(limits=server_pb2.Limits(**TOLD))  # type: ignore[arg-type]
        case search_pb2.SearchBatchRequest():
            items = [search_pb2.SearchBatchItem(response=search_pb2.SearchResponse()) for _ in request.queries]
            return search_pb2.SearchBatchResponse(items=items)
        case images_pb2.ListImagesRequest():
            begun = int(request.page_token or 0)
            names = IDS[begun : begun + request.page_size]
            token = str(begun + len(names)) if begun + len(names) < len(IDS) else ""
            return images_pb2.ListImagesResponse(images=[images_pb2.Image(id=n) for n in names], next_page_token=token)
        case images_pb2.DeleteImagesRequest():
            return images_pb2.DeleteImagesResponse(deleted=len(request.ids))
        case search_pb2.RerankRequest():
            return search_pb2.RerankResponse()
        case _:
            return search_pb2.SearchResponse()


@pytest.fixture
def transport(script: Any) -> Any:
    return script(answer)


@pytest.fixture
def client(transport: Any) -> setwise.Client:
    return setwise.connect("localhost:1", transport=transport)


def requests(transport: Any) -> list[Message]:
    return [request for name, request, _ in transport.calls if name != "GetServerInfo"]


@pytest.mark.parametrize(("limit", "call"), [*TOO_MUCH.items(), *OTHER_WAYS])
def test_too_much_is_not_sent(limit: str, call: Callable[[Any], Any], client: setwise.Client, transport: Any) -> None:
    with pytest.raises(setwise.InvalidArgumentError) as caught:
        call(client)
    error = caught.value
    assert (error.reason, error.details) == ("LIMIT_EXCEEDED", {"limit": limit, "allowed": str(TOLD[limit])})
    assert error.field and f"{TOLD[limit]:,}" in error.message
    assert requests(transport) == []


def test_what_just_fits_is_sent(client: setwise.Client, transport: Any) -> None:
    client.search(np.zeros((100, 100), np.uint8), k=50, candidates=60, where=F("a").in_(range(9)))
    client.search(tokens(20))
    client.rerank(setwise.Id("a"), IDS[:60], k=50)
    assert len(requests(transport)) == 3


def test_many_queries_go_in_batches(client: setwise.Client, transport: Any) -> None:
    client.search_many([setwise.Id(name) for name in IDS[:10]])
    sizes = [len(request.queries) for request in requests(transport)]  # type: ignore[attr-defined]
    assert sizes == [3, 3, 3, 1]


def test_many_changes_go_in_parts(client: setwise.Client, transport: Any) -> None:
    assert client.delete(IDS[:10]).deleted == 10
    assert [len(request.ids) for request in requests(transport)] == [4, 4, 2]  # type: ignore[attr-defined]


def test_pages_are_no_larger_than_the_server_gives(client: setwise.Client, transport: Any) -> None:
    assert [image.id for image in client.list(page_size=1000)] == IDS
    assert {request.page_size for request in requests(transport)} == {7}  # type: ignore[attr-defined]


def test_an_image_to_store_that_is_too_much_stands_in_its_place() -> None:
    limits = Limits(max_tokens=20, max_image_pixels=10_000)
    items = [setwise.Item("a", tokens(21)), setwise.Item("b", np.zeros((200, 100), np.uint8)), ("c", tokens(20))]
    first, second, third = prepare_items(items, limits)
    assert first.error is not None and first.error.details["limit"] == "max_tokens"
    assert second.error is not None and second.error.details["limit"] == "max_image_pixels"
    assert (third.error, third.id) == (None, "c")


def test_no_limit_is_forgotten() -> None:
    """Each limit on the wire is told to callers, and is one that the client keeps: what is too much is not sent, sent
    in parts, or waits. (The default for candidates limits nothing.)"""
    limits = Limits(**TOLD)  # type: ignore[arg-type]
    pace = Pace(lambda: 0.0)
    waits = [pace.wait(limits, Budget(None)) for _ in range(1001)]
    kept = {"max_batch", "max_changes", "max_page_size"} | set(TOO_MUCH)
    kept |= {"max_calls_per_second"} if waits[-1] > 0 else set()
    kept |= {"max_concurrent", "max_queue"} if calls_at_once(limits) == 2 + 5 else set()
    kept |= {"max_streams", "max_streams_per_client"} if streams_at_once(limits) == 6 else set()
    kept |= {"max_metadata_bytes"} if TOLD["max_metadata_bytes"] >= LARGEST_METADATA else set()
    told = {field.name for field in server_pb2.Limits.DESCRIPTOR.fields}
    assert kept | {"default_candidates"} == told == set(limits.to_dict())


def test_limits_that_have_grown_are_learned(script: Any) -> None:
    """A server that was started anew may take more: who was refused is not refused for ever."""
    small, large = (server_pb2.GetServerInfoResponse(limits=server_pb2.Limits(max_k=most)) for most in (5, 50))
    transport = script(small, large, search_pb2.SearchResponse())
    with setwise.connect("localhost:1", transport=transport) as client:
        with pytest.raises(setwise.InvalidArgumentError, match="k is 20; this server takes at most 5"):
            client.search(setwise.Id("a"), k=20)
        client.search(setwise.Id("a"), k=20)
    assert [name for name, _, _ in transport.calls] == ["GetServerInfo", "GetServerInfo", "Search"]


def test_a_real_servers_limits_are_kept(local: setwise.Client, remote: setwise.Client) -> None:
    for client in (local, remote):
        limits = client.info().limits
        assert limits.max_metadata_bytes >= LARGEST_METADATA
        assert {limit for limit, value in limits.to_dict().items() if not value} == {"max_calls_per_second"}
        assert len(list(client.list(page_size=10**6))) == 10
