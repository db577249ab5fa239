"""Every limit there is: told by GetServerInfo, and refused by name with its value and advice, over the wire."""

from __future__ import annotations

import itertools
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc.status_pb2 import Status
from PIL import Image

from setwise_engine.feature_set import FeatureSet
from setwise_engine.search import default_candidates
from setwise_proto.v1 import filters_pb2, images_pb2, search_pb2, server_pb2, types_pb2
from setwise_server import Limits, ServerSettings
from setwise_server._tensors import features_to_proto
from setwise_server._wire import MAX_METADATA_BYTES

LIMITS = Limits(
    max_message_bytes=100_000,
    max_image_bytes=50_000,
    max_image_pixels=10_000,
    max_tokens=5,
    max_batch=2,
    max_k=3,
    max_candidates=7,
    max_filter_terms=3,
    max_changes=2,
    max_streams_per_client=2,
    max_calls_per_second=1000,
)
SETTINGS = ServerSettings(port=0, device="cpu", workers=3, max_queue=5, max_streams=4, limits=LIMITS)
TOLD = {
    **asdict(LIMITS),
    "default_candidates": default_candidates(10),
    "max_concurrent": 3,
    "max_queue": 5,
    "max_streams": 4,
    "max_page_size": 1000,
    "max_metadata_bytes": MAX_METADATA_BYTES,
}

SET = FeatureSet(np.ones((6, 16), np.float32))

Ask = Callable[[Any], Any]
"""Asks for more than one limit allows, through these stubs; what it raises is looked at."""


@pytest.fixture(scope="module")
def limited(serving: Callable[..., Any], sets_path: Path, photos_path: Path) -> Iterator[Any]:
    """Stubs of a server with small limits."""
    with serving([sets_path, photos_path], SETTINGS) as stubs:
        yield stubs


def search(collection: str = "sets", query: types_pb2.Query | None = None, **options: int) -> search_pb2.SearchRequest:
    query = query or types_pb2.Query(id="set-01")
    return search_pb2.SearchRequest(
        collection=collection, query=query, options=search_pb2.SearchOptions(**options) if options else None
    )


def by_image(image: bytes) -> Ask:
    return lambda stubs: stubs.search.Search(search("photos", types_pb2.Query(image=image)))


def large_picture() -> bytes:
    buffer = BytesIO()
    Image.new("L", (101, 100)).save(buffer, "PNG")
    return buffer.getvalue()


def filter_of(terms: int) -> filters_pb2.Filter:
    parts = [filters_pb2.Filter(exists=filters_pb2.Exists(field=f"f{number}")) for number in range(terms)]
    return filters_pb2.Filter(every=filters_pb2.FilterList(filters=parts))


@contextmanager
def streams(stubs: Any, count: int) -> Iterator[None]:
    """While inside, so many streams are open."""
    start = images_pb2.UpsertRequest(start=images_pb2.UpsertStart(collection="sets"))
    requests: queue.Queue[images_pb2.UpsertRequest | None] = queue.Queue()
    calls = [stubs.images.Upsert(itertools.chain([start], iter(requests.get, None))) for _ in range(count)]
    try:
        for call in calls:
            next(call)
        yield
    finally:
        for _ in calls:
            requests.put(None)
        for call in calls:
            list(call)


def one_stream_too_many(stubs: Any) -> None:
    with streams(stubs, 2):
        list(stubs.images.Upsert(iter([])))


def too_large_a_page(stubs: Any) -> None:
    stubs.images.ListImages(images_pb2.ListImagesRequest(collection="sets", page_size=1001))


def too_many_ids(stubs: Any) -> None:
    stubs.images.DeleteImages(images_pb2.DeleteImagesRequest(collection="sets", ids=["a", "b", "c"]))


ASKS: dict[str, Ask] = {
    "max_message_bytes": by_image(bytes(100_001)),
    "max_image_bytes": by_image(bytes(50_001)),
    "max_image_pixels": by_image(large_picture()),
    "max_tokens": lambda stubs: stubs.search.Search(search(query=types_pb2.Query(features=features_to_proto(SET)))),
    "max_batch": lambda stubs: stubs.search.SearchBatch(
        search_pb2.SearchBatchRequest(collection="sets", queries=[types_pb2.Query(id="set-01")] * 3)
    ),
    "max_k": lambda stubs: stubs.search.Search(search(k=4)),
    "max_candidates": lambda stubs: stubs.search.Search(search(candidates=8)),
    "max_filter_terms": lambda stubs: stubs.images.CountImages(
        images_pb2.CountImagesRequest(collection="sets", where=filter_of(3))
    ),
    "max_changes": too_many_ids,
    "max_page_size": too_large_a_page,
    "max_streams_per_client": one_stream_too_many,
}


def refused(stubs: Any, ask: Ask, failure_of: Callable[[Status], Any]) -> Any:
    """How a server refuses."""
    with pytest.raises(grpc.RpcError) as caught:
        ask(stubs)
    return failure_of(Status.FromString(dict(caught.value.trailing_metadata())["grpc-status-details-bin"]))


def test_every_limit_is_told(limited: Any) -> None:
    told = limited.server.GetServerInfo(server_pb2.GetServerInfoRequest()).limits
    assert {field.name: getattr(told, field.name) for field in server_pb2.Limits.DESCRIPTOR.fields} == TOLD


def test_every_limit_of_the_settings_is_tried_here() -> None:
    assert {field.name for field in fields(Limits)} <= ASKS.keys() | {"max_calls_per_second"}


@pytest.mark.parametrize("limit", ASKS)
def test_beyond_a_limit_its_name_and_value_are_told_and_what_is_wrong(limited, failure_of, limit: str) -> None:
    failure = refused(limited, ASKS[limit], failure_of)
    told = dict(failure.info.metadata)
    assert (told["limit"], told["allowed"]) == (limit, str(TOLD[limit]))
    if limit == "max_streams_per_client":  # this one passes
        assert failure.info.reason == "SERVER_BUSY"
        assert failure.retry is not None
    else:
        assert failure.info.reason == "LIMIT_EXCEEDED"
        assert failure.violations[0].field == told["field"]
        assert failure.retry is None


def test_a_caller_who_asks_too_often_is_told_when_to_come_back(serving, sets_path, failure_of) -> None:
    limits = Limits(max_calls_per_second=0.01)
    with serving([sets_path], ServerSettings(port=0, device="cpu", limits=limits)) as stubs:
        stubs.search.Search(search())
        failure = refused(stubs, lambda stubs: stubs.search.Search(search()), failure_of)
        assert dict(failure.info.metadata) == {"limit": "max_calls_per_second", "allowed": "0.01"}
        assert 90 <= failure.retry.retry_delay.seconds <= 100


def test_metadata_beyond_the_limit_are_refused(limited: Any) -> None:
    def ask(size: int) -> str:
        request = server_pb2.GetServerInfoRequest()
        return limited.server.GetServerInfo.with_call(request, metadata=(("x-note", "n" * size),))[1].details()

    assert ask(MAX_METADATA_BYTES - 1000) == ""
    for size in (MAX_METADATA_BYTES, 10 * MAX_METADATA_BYTES):
        with pytest.raises(grpc.RpcError) as caught:
            ask(size)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert ask(10) == ""
