"""What the transport is told: connections that are too many, requests that never come, pings that come often."""

from __future__ import annotations

import queue
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from setwise_proto.v1 import search_pb2
from setwise_proto.v1 import types_pb2 as types
from setwise_server import Limits, ServerSettings, _place, _wire

REQUEST = search_pb2.SearchRequest(query=types.Query(id="set-01"))
SEARCH = "/setwise.v1.SearchService/Search"


def told(name: str, **limits: int) -> int:
    return dict(_wire.channel_arguments(ServerSettings(limits=Limits(**limits))))[name]


def test_the_ceiling_of_the_transport_lies_above_ours_and_within_what_it_can_count() -> None:
    assert told("grpc.max_receive_message_length", max_message_bytes=1000) == 1250
    assert told("grpc.max_receive_message_length", max_message_bytes=2**31 - 1) == 2**31 - 1


def test_connections_may_take_half_of_the_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for soft, most in ((1024, 512), (20, 10), (1 << 30, 1 << 15), (resource.RLIM_INFINITY, 1 << 15)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert told("grpc.max_allowed_incoming_connections") == most


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [(1024, 4096, (4096, 4096)), (1024, 1 << 20, (1 << 16, 1 << 20)), (1 << 17, 1 << 20, None), (-1, -1, None)],
)
def test_a_server_opens_more_files_where_it_may_and_never_fewer(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: tuple[int, int] | None
) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits))
    _wire.raise_open_files()
    assert set_to == ([] if raised is None else [raised])


def test_values_of_one_name_are_joined_in_their_order() -> None:
    pairs = [("a", "1"), ("b-bin", b"x"), ("a", "2"), ("b-bin", b"y"), ("c", "3")]
    assert _wire.joined(pairs) == {"a": "1,2", "b-bin": b"x,y", "c": "3"}


def connected(address: str, number: int) -> tuple[grpc.Channel, bool]:
    """A connection of its own, and whether it was taken."""
    channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1), ("test.number", number)])
    try:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        return channel, False
    return channel, True


def test_more_connections_than_may_be_are_refused_and_the_others_go_on(
    serving: Callable[..., Any], sets_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_wire, "_most_connections", lambda: 3)
    with serving([sets_path]) as stubs:
        assert stubs.search.Search(REQUEST).hits  # the first
        others = [connected(stubs.address, number) for number in range(4)]
        assert sum(taken for _, taken in others) == 2
        assert stubs.search.Search(REQUEST).hits
        for channel, _ in others:
            channel.close()
        for number in range(10, 30):
            channel, taken = connected(stubs.address, number)
            channel.close()
            if taken:
                break
            time.sleep(0.1)
        else:
            pytest.fail("no connection is taken again")


def test_a_call_that_never_sends_its_request_is_ended_and_the_others_are_served(
    serving: Callable[..., Any], sets_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_place, "RECEIVE_S", 0.3)
    with serving([sets_path], ServerSettings(port=0, device="cpu", workers=1, max_queue=3)) as stubs:
        silence: queue.Queue[bytes | None] = queue.Queue()
        rpc = stubs.channel.stream_stream(SEARCH)
        stalled = [rpc(iter(silence.get, None), timeout=30) for _ in range(3)]
        assert stubs.search.Search(REQUEST, timeout=30).hits
        for call in stalled:
            with pytest.raises(grpc.RpcError, match="did not arrive within") as caught:
                next(call)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            silence.put(None)
        assert stubs.search.Search(REQUEST, timeout=30).hits


def test_a_call_that_ends_without_a_request_is_told_so(serving: Callable[..., Any], sets_path: Path) -> None:
    with serving([sets_path]) as stubs, pytest.raises(grpc.RpcError, match="without a request") as caught:
        next(stubs.channel.stream_stream(SEARCH)(iter([])))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
