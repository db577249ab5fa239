"""Callers who stall, cut, flood or babble: a real server goes on answering everybody else, and ends when it is told."""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from conftest import Served
from driver import COLLECTION, tokens_of
from raw_http2 import RawConnection, headers

import setwise
from setwise_engine.collection import Collection
from setwise_proto.v1 import collections_pb2, images_pb2, search_pb2, types_pb2

SEARCH = "/setwise.v1.SearchService/Search"
UPSERT = "/setwise.v1.ImageService/Upsert"
DOWNLOAD = "/setwise.v1.CollectionService/DownloadSnapshot"
KNOWN = 8
REFUSED = re.compile(rb"grpc-status\x01[38]")  # INVALID_ARGUMENT by us, RESOURCE_EXHAUSTED by the transport

Serve = Callable[..., Served]


@pytest.fixture
def server(serve: Serve) -> Served:
    """A server that holds KNOWN images."""
    served = serve()
    with served.client() as client:
        client.upsert(item(f"n-{seed}", seed) for seed in range(KNOWN))
    return served


@pytest.fixture
def connections() -> Iterator[ExitStack]:
    """What closes connections at the end."""
    with ExitStack() as stack:
        yield stack


def item(id: str, seed: int) -> setwise.Item:
    return setwise.Item(id, setwise.FeatureSet(tokens_of(seed)), {"seed": seed})


def check_answers(served: Served, key: str | None = None) -> float:
    """Another caller searches and finds what is there; the seconds that it took, connecting included."""
    begun = time.monotonic()
    with served.client(api_key=key) as client:
        [hit] = client.search(setwise.FeatureSet(tokens_of(3)), k=1)
        assert hit.id == "n-3"
        assert hit.score == pytest.approx(1.0)
    return time.monotonic() - begun


def search_message() -> bytes:
    query = types_pb2.Query(id="n-1")
    return search_pb2.SearchRequest(collection=COLLECTION, query=query).SerializeToString()


def test_half_sent_requests_hold_up_nobody(server: Served, connections: ExitStack) -> None:
    for _ in range(4):
        raw = connections.enter_context(RawConnection(server.address)).greet()
        for _ in range(10):
            raw.send(raw.begin(SEARCH), search_message()[:5], said=1000)
    assert check_answers(server) < 30


def test_one_callers_half_sent_requests_leave_room_for_another(
    serve: Serve, keys: Callable[..., Path], connections: ExitStack
) -> None:
    """The first fills the whole queue with calls that never come; the second gets a place all the same."""
    server = serve("--keys", str(keys(slow="write", quick="write")), "--max-queue", "8", "--workers", "2")
    with server.client(api_key="quick") as client:
        client.upsert(item(f"n-{seed}", seed) for seed in range(KNOWN))
    raw = connections.enter_context(RawConnection(server.address)).greet()
    for _ in range(100):
        raw.send(raw.begin(SEARCH, [("authorization", "Bearer slow")]), search_message()[:5], said=1000)
    told = b"as many as this server takes"
    assert told in raw.read(20.0, until=told)  # it has all that one may have
    for _ in range(10):
        assert check_answers(server, "quick") < 30


def test_one_callers_silent_streams_leave_room_for_another(
    serve: Serve, keys: Callable[..., Path], connections: ExitStack
) -> None:
    """Forty uploads are begun and nothing is sent: one caller has only so many."""
    server = serve("--keys", str(keys(slow="write", quick="write")), "--max-streams-per-client", "16")
    start = images_pb2.UpsertRequest(start=images_pb2.UpsertStart(collection=COLLECTION)).SerializeToString()
    raw = connections.enter_context(RawConnection(server.address)).greet()
    for _ in range(40):
        raw.send(raw.begin(UPSERT, [("authorization", "Bearer slow")]), start)
    told = b"16 streams already"
    assert told in raw.read(20.0, until=told)
    with server.client(api_key="quick") as client:
        assert client.upsert(item(f"n-{seed}", seed) for seed in range(KNOWN)).failed == 0
    assert check_answers(server, "quick") < 30


def test_streams_that_nobody_reads_hold_up_nobody_and_end_with_the_server(serve: Serve, connections: ExitStack) -> None:
    server = serve("--grace", "1")
    with server.client() as client:
        client.upsert(item(f"n-{seed}", seed) for seed in range(KNOWN))
        client.upsert(setwise.Item(f"big-{n}", setwise.FeatureSet(tokens_of(n).repeat(900, 0))) for n in range(40))
    request = collections_pb2.DownloadSnapshotRequest(name=COLLECTION).SerializeToString()
    for _ in range(6):
        raw = connections.enter_context(RawConnection(server.address)).greet()
        raw.send(raw.begin(DOWNLOAD), request, end=True)
    time.sleep(0.5)  # they have sent as much as fits on the way
    assert check_answers(server) < 30
    begun = time.monotonic()
    os.kill(server.process.pid, signal.SIGTERM)
    assert server.process.wait() == 0
    assert time.monotonic() - begun < 30


def test_connections_cut_in_a_message_leave_nothing_behind(server: Served) -> None:
    start = images_pb2.UpsertRequest(start=images_pb2.UpsertStart(collection=COLLECTION)).SerializeToString()
    tensor = types_pb2.Tensor(dtype=types_pb2.DTYPE_FLOAT16, shape=tokens_of(1).shape, data=tokens_of(1).tobytes())
    features = types_pb2.FeatureSet(tokens=tensor, stage=types_pb2.STAGE_RAW)
    images = [images_pb2.ImageInput(id=f"cut-{n}", features=features) for n in range(3)]
    whole = images_pb2.UpsertRequest(data=images_pb2.UpsertData(images=images)).SerializeToString()
    rng = random.Random(5)
    for _ in range(40):
        raw = RawConnection(server.address).greet()
        stream = raw.begin(UPSERT)
        raw.send(stream, start)
        raw.send(stream, whole[: rng.randrange(1, len(whole))], said=len(whole))
        raw.cut()
    assert check_answers(server) < 30
    with server.client() as client:
        assert client.count() == KNOWN
    server.process.kill()
    with Collection.open(server.path) as collection:
        assert collection.verify().problems == []


def test_a_thousand_idle_connections(server: Served, connections: ExitStack) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1300:
        pytest.skip("this system allows too few open files")
    connections.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1300), hard))
    for number in range(1000):
        raw = connections.enter_context(RawConnection(server.address))
        if number % 2:
            raw.greet()  # the others do not even say that they speak HTTP/2
    assert check_answers(server) < 30
    with server.client() as client:
        assert client.upsert([item("late", 5)]).failed == 0
        assert client.count() == KNOWN + 1


@pytest.mark.parametrize("polite", [True, False], ids=["acknowledging", "not acknowledging"])
def test_huge_headers_are_refused(server: Served, polite: bool) -> None:
    """Also those of callers who never acknowledge the settings that say how large headers may be."""
    memory = server.memory()
    headers = [[("x-large", "a" * size)] for size in (9_000, 100_000, 4_000_000)]
    for pairs in [*headers, [(f"x-{n}", "a") for n in range(3000)]]:
        with RawConnection(server.address).greet() as raw:
            if polite:
                raw.read(0.2)
                raw.acknowledge()
            raw.send(raw.begin(SEARCH, pairs), search_message(), end=True)
            said = raw.read(20.0, until=b"grpc-status") + raw.read(0.1)
            assert REFUSED.search(said)
            assert b"n-1" not in said
    assert check_answers(server) < 30
    assert server.memory() - memory < 64 << 20


def test_what_is_no_http2_is_hung_up_on(server: Served) -> None:
    rng = random.Random(7)
    hello = bytes.fromhex("16030100c8010000c40303") + rng.randbytes(200)
    for data in [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        hello,
        *(rng.randbytes(rng.randrange(1, 3000)) for _ in range(50)),
    ]:
        raw = RawConnection(server.address)
        raw.socket.sendall(data)
        raw.cut()
    assert check_answers(server) < 30


def test_calls_with_lengths_that_lie(server: Served, connections: ExitStack) -> None:
    """A message that says it has 4 GiB is not waited for in memory."""
    memory = server.memory()
    raw = connections.enter_context(RawConnection(server.address)).greet()
    for said in (2**32 - 1, 2**31, 17 << 20):
        raw.send(raw.begin(SEARCH), search_message(), said=said)
    assert check_answers(server) < 30
    assert server.memory() - memory < 64 << 20


def continuations(raw: RawConnection) -> None:
    """Headers that never end (CVE-2024-27316)."""
    raw.frame(0x1, 0, 1, headers([(":method", "POST"), (":path", SEARCH)]))
    for n in range(3000):
        raw.frame(0x9, 0, 1, headers((f"x-{n}-{m}", "v" * 20) for m in range(300)))


def resets(raw: RawConnection) -> None:
    """Calls that are begun and cancelled at once (CVE-2023-44487)."""
    for _ in range(10_000):
        raw.frame(0x3, 0, raw.begin(SEARCH), (8).to_bytes(4, "big"))


def pings(raw: RawConnection) -> None:
    """Each wants an answer (CVE-2019-9512)."""
    for _ in range(20_000):
        raw.frame(0x6, 0, 0, b"12345678")


def settings(raw: RawConnection) -> None:
    """Each wants an answer, too (CVE-2019-9515)."""
    for _ in range(20_000):
        raw.frame(0x4, 0, 0, b"")


def watches(raw: RawConnection) -> None:
    """Health is open to everybody, and a watch never ends by itself."""
    for _ in range(1500):
        raw.send(raw.begin("/grpc.health.v1.Health/Watch"), b"", end=True)


@pytest.mark.slow
@pytest.mark.parametrize("flood", [continuations, resets, pings, settings, watches], ids=lambda flood: flood.__name__)
def test_floods_of_http2_cost_little_memory_and_hold_up_nobody_for_long(
    server: Served, connections: ExitStack, flood: Callable[[RawConnection], None]
) -> None:
    memory = server.memory()
    for _ in range(2):
        raw = connections.enter_context(RawConnection(server.address)).greet()
        with suppress(ConnectionError):  # hung up on
            flood(raw)
    assert check_answers(server) < 60
    assert server.memory() - memory < 400 << 20
