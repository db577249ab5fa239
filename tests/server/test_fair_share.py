"""Two callers with keys at one busy server: neither keeps the other out."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2

from setwise_proto.v1 import search_pb2
from setwise_proto.v1 import types_pb2 as types
from setwise_server import Limits, ServerSettings
from setwise_server.security import add_key
from setwise_server.settings import Security

REQUEST = search_pb2.SearchRequest(query=types.Query(id="set-01"))
CALLERS = ("greedy", "modest")
QUEUE = 6


@pytest.fixture
def metadata(tmp_path: Path) -> dict[str, list[tuple[str, str]]]:
    """What each caller sends; the file of their keys is `keys.toml`."""
    keys = {name: add_key(tmp_path / "keys.toml", name, "read", None) for name in CALLERS}
    return {name: [("authorization", f"Bearer {key}")] for name, key in keys.items()}


@pytest.fixture
def stubs(serving: Callable[..., Any], sets_path: Path, tmp_path: Path, metadata: object, gate: Any) -> Iterator[Any]:
    """A server that computes one call at a time, and each only when the gate is opened."""
    settings = ServerSettings(
        port=0,
        device="cpu",
        workers=1,
        max_queue=QUEUE,
        security=Security(keys=tmp_path / "keys.toml"),
        limits=Limits(max_streams_per_client=1),
    )
    with serving([sets_path], settings) as stubs:
        yield stubs
        gate.opened.set()


def test_a_flood_of_one_callers_does_not_keep_another_out(stubs: Any, metadata: Any, gate: Any) -> None:
    flood = [stubs.search.Search.future(REQUEST, metadata=metadata["greedy"], timeout=60) for _ in range(5 * QUEUE)]
    assert gate.entered.acquire(timeout=10)
    until = time.monotonic() + 20
    while sum(call.done() for call in flood) < len(flood) - QUEUE - 1:  # one computes, and the queue is full
        assert time.monotonic() < until
        time.sleep(0.01)
    modest = [stubs.search.Search.future(REQUEST, metadata=metadata["modest"], timeout=60) for _ in range(2)]
    while sum(call.done() for call in flood) < len(flood) - QUEUE + 1:  # two more had to go
        assert time.monotonic() < until
        time.sleep(0.01)
    gate.opened.set()
    assert all(call.result().hits for call in modest)
    codes = [call.code() for call in flood]
    assert codes.count(grpc.StatusCode.OK) == QUEUE - 1
    assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == len(flood) - QUEUE + 1


def test_streams_of_a_key_are_counted_wherever_they_come_from(stubs: Any, metadata: Any) -> None:
    reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    listing = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    requests: queue.Queue[bytes | None] = queue.Queue()
    requests.put(listing)
    with grpc.insecure_channel(stubs.address) as elsewhere:
        held = stubs.channel.stream_stream(reflection)(iter(requests.get, None), metadata=metadata["greedy"])
        assert next(held)
        ask = elsewhere.stream_stream(reflection)
        with pytest.raises(grpc.RpcError, match="streams already") as caught:
            next(ask(iter([listing]), metadata=metadata["greedy"]))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert next(ask(iter([listing]), metadata=metadata["modest"]))
        requests.put(None)
        assert not list(held)
