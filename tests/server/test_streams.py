"""Streams between the wire and their handlers, and the same in process: order, errors, leaving early, draining."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
import grpc.aio
import pytest

from setwise_engine.errors import CancelledError, InvalidInput
from setwise_proto.v1 import images_pb2 as pb
from setwise_server import ServerSettings
from setwise_server._admission import Admission
from setwise_server._call import Call
from setwise_server._interceptor import CallInterceptor
from setwise_server._local_streams import local_stream
from setwise_server._pools import Pools
from setwise_server._servicer import STREAMS, Servicer
from setwise_server.handlers import Kind, Method
from setwise_server.observe import Observer
from setwise_server.security import Guard

UPSERT = "/setwise.v1.ImageService/Upsert"


def start(name: str) -> pb.UpsertRequest:
    return pb.UpsertRequest(start=pb.UpsertStart(collection=name))


def reply(number: int) -> pb.UpsertResponse:
    return pb.UpsertResponse(started=pb.UpsertStarted(collection_version=number))


class Wire:
    """A real server on loopback whose only method is the given handler."""

    def __init__(self, handle: Callable, **settings: object) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._settings = ServerSettings(port=0, **settings)
        self.do(self._start(handle))
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _start(self, handle: Callable) -> None:
        self.pools = Pools(self._settings)
        self.servicer = Servicer(self.pools, 1000)
        self.servicer.open({UPSERT: Method(UPSERT, pb.UpsertRequest, handle, Kind.STREAM)})
        settings = self._settings
        gate = CallInterceptor(Guard(settings), Admission(settings), Observer(), frozenset({UPSERT}))
        self._server = grpc.aio.server(interceptors=[gate])
        self._server.add_generic_rpc_handlers((self.servicer,))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()

    def upsert(self, requests: Iterator[pb.UpsertRequest], **options: object):
        rpc = self.channel.stream_stream(UPSERT, pb.UpsertRequest.SerializeToString, pb.UpsertResponse.FromString)
        return rpc(requests, **options)

    async def drain(self) -> bool:
        self.servicer.drain()
        return await self.pools.drain(5)

    def close(self) -> None:
        self.channel.close()
        self.do(self._server.stop(0))
        self.do(self.pools.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def serving(handle: Callable, **settings: object) -> Iterator[Wire]:
    wire = Wire(handle, **settings)
    try:
        yield wire
    finally:
        wire.close()


def held(requests: queue.Queue) -> Iterator[pb.UpsertRequest]:
    """The requests that the test puts into the queue; None half-closes."""
    while (request := requests.get()) is not None:
        yield request


def count(requests, call: Call, emit) -> None:
    """Answers each message with its number, and the end with 1000."""
    number = -1
    for number, request in enumerate(requests):
        if request.start.collection == "bad":
            raise InvalidInput("the name is bad", field="start.collection")
        emit(reply(number))
    emit(reply(1000))


def test_every_streaming_rpc_is_known_by_the_contract() -> None:
    collections = "/setwise.v1.CollectionService/"
    assert {UPSERT, collections + "FitEncoder", collections + "DownloadSnapshot"} == STREAMS


def test_replies_come_while_requests_still_go_and_the_end_is_seen() -> None:
    with serving(count) as wire:
        requests: queue.Queue = queue.Queue()
        call = wire.upsert(held(requests))
        for number in range(3):
            requests.put(start("a"))
            assert next(call) == reply(number)
        requests.put(None)
        assert list(call) == [reply(1000)]
        assert call.code() is grpc.StatusCode.OK


def test_in_process_the_same_replies_and_the_same_error(failure_of) -> None:
    method = Method(UPSERT, pb.UpsertRequest, count, Kind.STREAM)
    answers = list(local_stream(method, [start("a"), start("bad")], Call()))
    assert [(status.code, message) for status, message in answers[:-1]] == [(0, reply(0))]
    here = failure_of(answers[-1][0])
    with serving(count) as wire, pytest.raises(grpc.RpcError) as caught:
        list(wire.upsert(iter([start("a"), start("bad")])))
    assert type(here).on_the_wire(caught.value) == here
    assert here.violations[0].field == "start.collection"


def test_a_half_closed_stream_ends_with_status_ok_in_process() -> None:
    method = Method(UPSERT, pb.UpsertRequest, count, Kind.STREAM)
    assert list(local_stream(method, iter([start("a")]), Call()))[-1][0].code == 0


def test_bytes_that_are_no_message_end_the_stream() -> None:
    with serving(count) as wire:
        rpc = wire.channel.stream_stream(UPSERT)
        with pytest.raises(grpc.RpcError, match=r"no setwise\.v1\.UpsertRequest message") as caught:
            list(rpc(iter([b"\xff\xff"])))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_reply_beyond_the_message_limit_ends_the_stream() -> None:
    def large(requests, call, emit) -> None:
        emit(pb.UpsertResponse(acks=pb.UpsertAcks(results=[pb.ImageResult(id="x" * 2000)])))

    with serving(large) as wire, pytest.raises(grpc.RpcError) as caught:
        list(wire.upsert(iter([])))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def noting(ended: queue.Queue) -> Callable:
    """A handler that says how its requests ended."""

    def handle(requests, call: Call, emit) -> None:
        emit(reply(0))
        try:
            for _ in requests:
                pass
        except Exception as error:
            ended.put(type(error))
            raise
        ended.put("draining" if call.draining else "half-closed")
        emit(reply(1))

    return handle


def test_a_caller_who_vanishes_is_not_taken_for_one_who_half_closes() -> None:
    ended: queue.Queue = queue.Queue()
    with serving(noting(ended)) as wire:
        for _ in range(20):
            call = wire.upsert(held(queue.Queue()))
            next(call)
            call.cancel()
            assert ended.get(timeout=5) is CancelledError
        call = wire.upsert(held(queue.Queue()))
        next(call)
        wire.channel.close()
        assert ended.get(timeout=5) is CancelledError


def test_a_deadline_ends_a_stream() -> None:
    ended: queue.Queue = queue.Queue()
    with serving(noting(ended)) as wire:
        with pytest.raises(grpc.RpcError) as caught:
            list(wire.upsert(held(queue.Queue()), timeout=0.3))
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert ended.get(timeout=5) is not None


def test_a_server_that_stops_ends_the_requests_and_still_sends_what_the_handler_says() -> None:
    ended: queue.Queue = queue.Queue()
    with serving(noting(ended)) as wire:
        requests: queue.Queue = queue.Queue()
        call = wire.upsert(held(requests))
        assert next(call) == reply(0)
        assert wire.do(wire.drain())
        assert ended.get(timeout=5) == "draining"
        assert list(call) == [reply(1)]
        assert call.code() is grpc.StatusCode.OK
        with pytest.raises(grpc.RpcError, match="about to stop"):
            list(wire.upsert(iter([])))
        requests.put(None)


def test_more_streams_than_the_server_takes_are_refused_at_once() -> None:
    with serving(count, max_streams=1) as wire:
        requests: queue.Queue = queue.Queue()
        first = wire.upsert(held(requests))
        requests.put(start("a"))
        next(first)
        with pytest.raises(grpc.RpcError) as caught:
            list(wire.upsert(iter([])))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        requests.put(None)
        assert list(first) == [reply(1000)]


def test_a_caller_who_does_not_read_holds_the_handler_back() -> None:
    sent = threading.Semaphore(0)

    def flood(requests, call, emit) -> None:
        while True:
            emit(pb.UpsertResponse(acks=pb.UpsertAcks(results=[pb.ImageResult(id="x" * 900)])))
            sent.release()

    with serving(flood) as wire:
        call = wire.upsert(iter([]))
        next(call)
        while sent.acquire(timeout=0.3):
            pass
        next(call)
        call.cancel()
    method = Method(UPSERT, pb.UpsertRequest, flood, Kind.STREAM)
    replies = local_stream(method, [], Call())
    next(replies)
    replies.close()


def test_leaving_early_in_process_cancels_the_handler() -> None:
    ended: queue.Queue = queue.Queue()
    requests: queue.Queue = queue.Queue()
    replies = local_stream(Method(UPSERT, pb.UpsertRequest, noting(ended), Kind.STREAM), held(requests), Call())
    assert next(replies)[1] == reply(0)
    requests.put(None)
    replies.close()
    assert ended.get(timeout=5) in (CancelledError, "half-closed")
