"""What logs tell of a request, and what they never tell."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from setwise_proto.v1 import collections_pb2, images_pb2, search_pb2, server_pb2
from setwise_proto.v1 import types_pb2 as types
from setwise_server._asked import MOST_CHARACTERS, asked

SECRET = b"\x89PNG the picture itself"
REQUESTS = [
    rpc.input_type
    for module in (collections_pb2, images_pb2, search_pb2, server_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for rpc in service.methods
]


def filled(message: Message, depth: int = 6) -> Message:
    """The message with something in every field, all the way down; of a choice, the last."""
    for field in message.DESCRIPTOR.fields:
        match getattr(message, field.name):
            case Message() as inner if depth:
                inner.SetInParent()
                filled(inner, depth - 1)
            case bytes():
                setattr(message, field.name, SECRET)
            case str():
                setattr(message, field.name, "x" * 1000)
    return message


def test_a_search_is_told_by_what_it_asks_with_and_for() -> None:
    request = search_pb2.SearchRequest(collection="photos", query=types.Query(image=SECRET))
    request.options.k = 10
    request.options.kernel = types.KERNEL_COSINE
    request.options.where.SetInParent()

    assert asked(request) == {
        "collection": "photos",
        "query.image": f"{len(SECRET)} bytes",
        "options.k": 10,
        "options.kernel": "KERNEL_COSINE",
        "options.where": "given",
    }


def test_lists_and_maps_are_counted() -> None:
    request = search_pb2.SearchBatchRequest(queries=[types.Query(id="a"), types.Query(image=SECRET)])

    assert asked(request) == {"queries": 2}


@pytest.mark.parametrize("name", sorted({kind.full_name for kind in REQUESTS}))
def test_no_request_of_any_rpc_brings_a_picture_or_a_long_text_into_a_log(name: str) -> None:
    (kind,) = {each.full_name: each for each in REQUESTS if each.full_name == name}.values()
    told = asked(filled(kind._concrete_class()))

    assert "PNG" not in repr(told)
    assert all(len(value) <= MOST_CHARACTERS for value in told.values() if isinstance(value, str))


def test_an_enum_of_a_newer_client_is_told_by_its_number() -> None:
    request = search_pb2.SearchRequest()
    request.options.kernel = 99  # type: ignore[assignment]

    assert asked(request) == {"options.kernel": 99}
