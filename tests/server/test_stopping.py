"""How a server stops: what runs is given its time and then told to end, nobody is left without an answer; a second
signal ends it at once."""

from __future__ import annotations

import itertools
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc

from setwise_proto.v1 import collections_pb2, images_pb2, search_pb2
from setwise_proto.v1 import types_pb2 as types
from setwise_server import ServerSettings

REQUEST = search_pb2.SearchRequest(query=types.Query(id="set-01"))
SERVE = "import sys; from setwise._cli import main; sys.exit(main())"
BUSY = "import time; from setwise_engine.search import Searcher; Searcher.search_id = lambda *_, **__: time.sleep(60);"
SLOW_START = (
    "import time; from setwise_server._registry import Registry; warm = Registry.warm;"
    "Registry.warm = lambda self: (print('loading', flush=True), time.sleep(1), warm(self));"
)


def told(error: grpc.RpcError, failure_of: Any) -> Any:
    return failure_of(Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"]))


def test_what_takes_longer_than_the_grace_is_refused_with_advice_running_or_waiting(
    serving, sets_path, gate, failure_of
) -> None:
    settings = ServerSettings(port=0, device="cpu", workers=1, grace=0.2)
    with serving([sets_path], settings) as stubs:
        calls = [stubs.search.Search.future(REQUEST) for _ in range(3)]
        assert gate.entered.acquire(timeout=5)
        stubs.stop()
        for call in calls:
            failure = told(call.exception(timeout=5), failure_of)
            assert failure.info.reason == "NOT_READY"
            assert failure.retry is not None


def open_stream(rpc: Any, *messages: Any) -> tuple[Any, queue.Queue[Any]]:
    """A stream that stays open until None is put into its queue."""
    requests: queue.Queue[Any] = queue.Queue()
    return rpc(itertools.chain(messages, iter(requests.get, None)), timeout=30), requests


def test_every_stream_is_acknowledged_or_refused(serving, tmp_path, make_item, failure_of) -> None:
    settings = ServerSettings(port=0, device="cpu", root=tmp_path, commit_ms=1000, grace=10)
    with serving([], settings) as stubs:
        create = stubs.collections.CreateCollection
        create(collections_pb2.CreateCollectionRequest(name="full", features=True, dims=16))
        fit = collections_pb2.ENCODER_SOURCE_FIT
        create(collections_pb2.CreateCollectionRequest(name="waits", features=True, dims=8, encoder=fit))
        start = images_pb2.UpsertRequest(start=images_pb2.UpsertStart(collection="full"))
        images = [make_item(f"new-{number}", number) for number in range(5)]
        data = images_pb2.UpsertRequest(data=images_pb2.UpsertData(images=images))
        sample = collections_pb2.FitEncoderRequest(data=collections_pb2.FitEncoderData(images=images))
        fit_start = collections_pb2.FitEncoderRequest(start=collections_pb2.FitEncoderStart(collection="waits"))
        idle, idle_requests = open_stream(stubs.images.Upsert, start)
        busy, busy_requests = open_stream(stubs.images.Upsert, start, data)
        fitting, fit_requests = open_stream(stubs.collections.FitEncoder.future, fit_start, sample)
        assert next(idle).HasField("started")
        assert next(busy).HasField("started")
        stopping = threading.Thread(target=stubs.stop)
        stopping.start()
        assert [reply.WhichOneof("message") for reply in idle] == ["shutting_down"]
        replies = list(busy)
        acked = {result.id for reply in replies for result in reply.acks.results if result.done}
        assert replies[-1].HasField("shutting_down") or any(reply.HasField("shutting_down") for reply in replies)
        assert told(fitting.exception(timeout=10), failure_of).info.reason == "NOT_READY"
        for requests in (idle_requests, busy_requests, fit_requests):
            requests.put(None)
        stopping.join()
    with serving([], settings) as stubs:
        listed = stubs.images.ListImages(images_pb2.ListImagesRequest(collection="full")).images
        assert acked <= {image.id for image in listed}


@contextmanager
def process(sets_path: Path, before: str, grace: float = 60) -> Iterator[subprocess.Popen[str]]:
    """`setwise serve` in a process of its own, which does something else before it starts."""
    command = [sys.executable, "-c", before + SERVE, "serve", str(sets_path), "--port", "0", "--grace", str(grace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def busy(server: subprocess.Popen[str]) -> Iterator[tuple[Any, Any]]:
    """A call that heeds nothing, and a watch of the server's health."""
    address = server.stdout.readline().strip().rpartition(" ")[2]
    with grpc.insecure_channel(address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        rpc = channel.unary_unary("/setwise.v1.SearchService/Search", search_pb2.SearchRequest.SerializeToString)
        running = rpc.future(REQUEST)
        with pytest.raises(grpc.FutureTimeoutError):
            running.exception(timeout=0.5)
        yield running, watch


def test_a_second_signal_ends_at_once_what_the_first_would_wait_for(sets_path: Path) -> None:
    with process(sets_path, BUSY) as server, busy(server) as (running, watch):
        server.send_signal(signal.SIGTERM)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert server.poll() is None
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=10) == -signal.SIGINT
        assert running.exception(timeout=10).code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.slow
def test_a_call_that_heeds_nothing_does_not_keep_the_process_for_ever(sets_path: Path) -> None:
    with process(sets_path, BUSY, grace=0.1) as server, busy(server) as (running, _):
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=40) == 1
        assert running.exception(timeout=10) is not None
        assert "the process ends without them" in server.stderr.read()


def test_told_to_stop_while_it_loads_it_stops_without_having_served(sets_path: Path) -> None:
    with process(sets_path, SLOW_START) as server:
        assert server.stdout.readline() == "loading\n"
        server.send_signal(signal.SIGTERM)
        said, errors = server.communicate(timeout=30)
        assert (server.returncode, said) == (0, "")
        assert "Traceback" not in errors
