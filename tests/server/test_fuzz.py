"""Whatever a caller sends, the answer is an answer or a mistake of the caller's: never a fault inside the server."""

from __future__ import annotations

import shutil
import string
from collections.abc import MutableSequence
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from setwise_engine.errors import EngineError
from setwise_proto.v1 import collections_pb2, images_pb2, search_pb2, server_pb2
from setwise_server._servicer import STREAMS
from setwise_server.local import LocalServer, open_local

UPSERT = "/setwise.v1.ImageService/Upsert"
OURS = {code.value[0] for code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS)}
REQUESTS = {
    f"/{service.full_name}/{rpc.name}": GetMessageClass(rpc.input_type)
    for module in (collections_pb2, images_pb2, search_pb2, server_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for rpc in service.methods
}
INTEGERS = {
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SINT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_ENUM: (-5, 5),
}


DEEPEST = 5  # messages within messages: filters and lists of values have no end of their own


def _value(field: FieldDescriptor, depth: int = 0) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return messages(field.message_type, depth + 1)
    if field.type in INTEGERS:
        low, high = INTEGERS[field.type]
        return st.integers(max(low, -1), min(high, 20)) | st.integers(low, high)
    text = st.sampled_from(["", "sets", "set-01"]) | st.text(string.printable + "ü\U0001f600", max_size=6)
    return {
        FieldDescriptor.TYPE_STRING: text,
        FieldDescriptor.TYPE_BYTES: st.binary(max_size=40),
        FieldDescriptor.TYPE_BOOL: st.booleans(),
        FieldDescriptor.TYPE_DOUBLE: st.floats(),
    }[field.type]


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor, depth: int = 0) -> Message:
    """A message with any of its fields set to anything that the wire can carry."""
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if depth > DEEPEST or not draw(st.booleans()):
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = (_value(field.message_type.fields_by_name[name], depth) for name in ("key", "value"))
            for name, each in draw(st.dictionaries(key, value, max_size=3)).items():
                getattr(message, field.name)[name].CopyFrom(each)
        elif isinstance(getattr(message, field.name), MutableSequence):
            getattr(message, field.name).extend(draw(st.lists(_value(field, depth), max_size=3)))
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(draw(_value(field, depth)))
        else:
            setattr(message, field.name, draw(_value(field)))
    return message


@pytest.fixture(scope="module")
def local(sets_path, tmp_path_factory) -> LocalServer:
    """A copy of the collection: what is sent may well write."""
    with open_local(shutil.copytree(sets_path, tmp_path_factory.mktemp("fuzz") / "sets.setwise")) as local:
        yield local


@pytest.mark.parametrize("path", sorted(set(REQUESTS) - STREAMS))
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_messages_are_answered_or_refused(local: LocalServer, path: str, data: st.DataObject) -> None:
    request = data.draw(messages(REQUESTS[path].DESCRIPTOR))
    status, response = local.call(path, request, timeout=10)
    assert (response is None) == (status.code != 0)
    assert status.code not in OURS, status.message


@pytest.mark.parametrize("path", sorted(STREAMS))
@given(data=st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_streams_are_answered_or_refused(local: LocalServer, path: str, data: st.DataObject) -> None:
    start = REQUESTS[path]()
    if path == UPSERT:
        start.start.collection = "sets"
    requests = [start, *data.draw(st.lists(messages(REQUESTS[path].DESCRIPTOR), max_size=4))]
    *answers, (status, nothing) = local.stream(path, requests, timeout=10)
    assert nothing is None
    assert status.code not in OURS, status.message
    assert all(each.code == 0 and message is not None for each, message in answers)
    results = [result for _, message in answers if path == UPSERT for result in message.acks.results]
    assert all(result.error.code not in OURS for result in results)


@pytest.mark.parametrize("path", sorted(set(REQUESTS) - STREAMS))
@given(data=st.binary(max_size=60))
@settings(max_examples=60, deadline=None)
def test_random_bytes_are_a_message_or_refused(local: LocalServer, path: str, data: bytes) -> None:
    method = local._methods[path]
    try:
        request = method.parse(data)
    except EngineError as error:
        assert "are no setwise.v1." in str(error)
    else:
        assert local.call(path, request, timeout=10)[0].code not in OURS
