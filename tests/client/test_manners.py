"""What a server would only refuse waits in the client: too many at once, too many in a second."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message

import setwise
from setwise._manners import Pace, Turns, calls_at_once, streams_at_once
from setwise._retry import Budget, Retries
from setwise._values import Limits
from setwise_proto.v1 import collections_pb2, images_pb2, server_pb2


class Busy:
    """A server that counts how many calls it has at once, and when each came. told: its limits."""

    def __init__(self, *, seconds: float = 0.02, **limits: Any) -> None:
        self.told, self._seconds = server_pb2.Limits(**limits), seconds
        self._lock, self._running = threading.Lock(), 0
        self.most, self.came = 0, list[float]()

    def call(self, method: str, request: Message, reply: type[Message], timeout: float | None) -> Message:
        """As Transport.call."""
        if method.endswith("GetServerInfo"):
            return server_pb2.GetServerInfoResponse(limits=self.told)
        with self._lock:
            self.came.append(time.monotonic())
            self._running += 1
            self.most = max(self.most, self._running)
        time.sleep(self._seconds)
        with self._lock:
            self._running -= 1
        return images_pb2.CountImagesResponse(count=1)

    def stream(self, *_: Any) -> Any:
        """Has none."""
        raise AssertionError

    def close(self) -> None:
        """Nothing to close."""


class AsyncBusy(Busy):
    """The same for asyncio."""

    async def call(self, method: str, request: Message, reply: type[Message], timeout: float | None) -> Message:  # type: ignore[override]
        """As AsyncTransport.call."""
        return await asyncio.get_running_loop().run_in_executor(None, super().call, method, request, reply, timeout)

    async def close(self) -> None:  # type: ignore[override]
        """Nothing to close."""


def test_no_more_calls_at_once_than_the_server_takes() -> None:
    server = Busy(max_concurrent=1, max_queue=2)
    with setwise.connect("localhost:1", transport=server, timeout=30) as client, ThreadPoolExecutor(12) as pool:
        client.info()
        assert sum(pool.map(lambda _: client.count(), range(12))) == 12
    assert server.most == 3


def test_asyncio_keeps_to_it_too() -> None:
    server: Any = AsyncBusy(max_concurrent=1, max_queue=2)

    async def main() -> list[int]:
        async with setwise.connect_async("localhost:1", transport=server, timeout=30) as client:
            await client.info()
            return await asyncio.gather(*(client.count() for _ in range(12)))

    assert sum(asyncio.run(main())) == 12
    assert server.most == 3


def test_who_has_no_time_to_wait_is_told_why() -> None:
    server = Busy(max_concurrent=1, seconds=0.5)
    with setwise.connect("localhost:1", transport=server) as client, ThreadPoolExecutor(1) as pool:
        client.info()
        first = pool.submit(client.count)
        while not server.came:
            time.sleep(0.001)
        with pytest.raises(setwise.DeadlineExceededError, match="this client has 1 calls running"):
            client.count(timeout=0.05)
        assert first.result() == 1


def test_asyncio_tells_it_too_and_gives_no_turn_away() -> None:
    server: Any = AsyncBusy(max_concurrent=1, seconds=0.3)

    async def main() -> list[Any]:
        async with setwise.connect_async("localhost:1", transport=server, timeout=30) as client:
            await client.info()
            calls = [client.count(), client.count(timeout=0.05), client.count()]
            return await asyncio.gather(*calls, return_exceptions=True)

    first, late, second = asyncio.run(main())
    assert (first, second) == (1, 1)
    assert isinstance(late, setwise.DeadlineExceededError)


def test_calls_keep_the_servers_pace() -> None:
    server = Busy(max_calls_per_second=20.0, seconds=0)
    with setwise.connect("localhost:1", transport=server) as client:
        for _ in range(26):
            client.count()
    # One second's worth may come at once (the question for the limits came before them); six more take their time.
    assert server.came[25] - server.came[0] >= 0.25


def test_a_turn_that_comes_too_late_is_told_at_once() -> None:
    server = Busy(max_calls_per_second=0.1)
    with setwise.connect("localhost:1", transport=server, timeout=2) as client:
        client.info()
        before = time.monotonic()
        with pytest.raises(setwise.DeadlineExceededError, match=r"takes 0\.1 calls a second"):
            client.count()
        assert time.monotonic() - before < 1


def test_the_pace_is_that_of_the_server() -> None:
    """The server's own accounting: a second's calls at once, less one for what networks do, and then evenly."""
    now = 100.0
    pace, limits = Pace(lambda: now), Limits(max_calls_per_second=4.0)
    assert [pace.wait(limits, Budget(None)) for _ in range(6)] == pytest.approx([0, 0, 0, 0.25, 0.5, 0.75])
    now = 101.75
    assert pace.wait(limits, Budget(None)) == pytest.approx(0.0)
    assert pace.wait(Limits(), Budget(None)) == 0.0


def test_calls_before_the_rate_was_known_count() -> None:
    pace, limits = Pace(lambda: 100.0), Limits(max_calls_per_second=4.0)
    assert [pace.wait(None, Budget(None)) for _ in range(2)] == [0.0, 0.0]
    assert [pace.wait(limits, Budget(None)) for _ in range(3)] == pytest.approx([0, 0.25, 0.5])


def test_one_call_in_many_seconds() -> None:
    pace, limits = Pace(lambda: 100.0), Limits(max_calls_per_second=0.1)
    assert [pace.wait(limits, Budget(None)) for _ in range(2)] == pytest.approx([0, 10])


def test_who_asked_too_often_is_waited_for_while_there_is_time() -> None:
    facts = {"limit": "max_calls_per_second"}
    often = setwise.ResourceExhaustedError("too often", retry_after=0.2, details=facts)
    assert Retries(most=2).wait(often, attempt=50, remaining=60.0) is not None
    assert Retries(most=2).wait(often, attempt=50, remaining=0.1) is None
    assert Retries(most=0).wait(often, attempt=0, remaining=60.0) is None


def test_streams_wait_for_each_other() -> None:
    turns, order = Turns(), list[str]()
    most = streams_at_once(Limits(max_streams=32, max_streams_per_client=1))
    with turns.turn(most, Budget(None)):
        other = threading.Thread(target=lambda: _enter(turns, most, order))
        other.start()
        with pytest.raises(setwise.DeadlineExceededError), turns.turn(most, Budget(0.05)):
            pass
        order.append("first")
    other.join()
    assert order == ["first", "second"]


def _enter(turns: Turns, most: int, order: list[str]) -> None:
    with turns.turn(most, Budget(None)):
        order.append("second")


def test_limits_that_nobody_told_do_not_count() -> None:
    assert calls_at_once(None) == calls_at_once(Limits()) == streams_at_once(None) == streams_at_once(Limits()) == 0
    assert streams_at_once(Limits(max_streams=32)) == 32
    assert calls_at_once(Limits(max_concurrent=2, max_queue=64)) == 66


@pytest.fixture(scope="module")
def strict(serve: Any, sets_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a server that may be written to and allows little: one call computes, one waits, one stream a
    caller, twenty calls a second."""
    path = tmp_path_factory.mktemp("strict") / "sets.setwise"
    shutil.copytree(sets_path, path)
    words = ["--workers", "1", "--max-queue", "1", "--max-streams-per-client", "1", "--max-calls-per-second", "20"]
    with serve(str(path), "--port", "0", *words) as (address, _):
        yield address


def test_a_real_server_refuses_nothing_of_what_it_allows(strict: str) -> None:
    """Without manners most of these would be refused."""
    time.sleep(1.1)  # nobody has asked for a second
    with setwise.connect(strict, timeout=60, retries=0) as client, ThreadPoolExecutor(30) as pool:
        client.info()
        hits = list(pool.map(lambda number: client.search(setwise.Id(f"set-{number % 12:02}"), k=1), range(30)))
    assert [answer[0].id for answer in hits] == [f"set-{number % 12:02}" for number in range(30)]


def test_callers_who_share_their_allowance_get_through_too(strict: str) -> None:
    """Two clients on one machine are one caller to the server: each keeps the pace, and together they are too quick.
    Then the server says when to come back."""

    def ask(_: int) -> int:
        with setwise.connect(strict, timeout=60) as client:
            client.info()
            return sum(client.count() for _ in range(20))

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ask, range(2))) == [240, 240]


def test_streams_of_one_client_take_turns(strict: str) -> None:
    tokens = setwise.FeatureSet(np.ones((4, 8), np.float16))

    def store(number: int) -> int:
        return client.upsert([(f"new-{number}", tokens)]).inserted

    time.sleep(1.1)
    with setwise.connect(strict, timeout=60, retries=0) as client, ThreadPoolExecutor(4) as pool:
        client.info()
        assert sum(pool.map(store, range(4))) == 4
        client.delete([f"new-{number}" for number in range(4)])


class Doorkeeper:
    """A server whose streams turn callers away so many times, then answer like a snapshot of three bytes."""

    def __init__(self, turned_away: int, *, after: int = 0) -> None:
        """after: pieces that are given before."""
        self.left, self._after, self.streams = turned_away, after, 0

    def call(self, method: str, request: Message, reply: type[Message], timeout: float | None) -> Message:
        """As Transport.call."""
        return server_pb2.GetServerInfoResponse()

    def stream(self, method: str, requests: Any, reply: type[Message]) -> Any:
        """As Transport.stream."""
        self.streams += 1
        return _Answers(self._answer())

    def _answer(self) -> Any:
        pieces = [collections_pb2.DownloadSnapshotResponse(piece=b"abc")]
        yield from pieces[: self._after]
        if self.left:
            self.left -= 1
            raise setwise.ResourceExhaustedError("full", reason="SERVER_BUSY", retry_after=0.01)
        end = collections_pb2.SnapshotEnd(bytes=3, sha256=hashlib.sha256(b"abc").hexdigest())
        yield from [*pieces, collections_pb2.DownloadSnapshotResponse(end=end)]

    def close(self) -> None:
        """Nothing to close."""


class _Answers:
    def __init__(self, answers: Any) -> None:
        self._answers = answers

    def __iter__(self) -> _Answers:
        return self

    def __next__(self) -> Message:
        answer: Message = next(self._answers)
        return answer

    def cancel(self) -> None:
        """Ends by itself."""


def test_a_stream_that_was_turned_away_comes_back(tmp_path: Path) -> None:
    server = Doorkeeper(2)
    with setwise.connect("localhost:1", transport=server) as client:
        assert client.download_snapshot(tmp_path / "a.tar").bytes == 3
    assert (server.streams, (tmp_path / "a.tar").read_bytes()) == (3, b"abc")
    with (
        setwise.connect("localhost:1", transport=Doorkeeper(9), retries=2) as client,
        pytest.raises(setwise.ResourceExhaustedError),
    ):
        client.download_snapshot(tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()


def test_a_stream_that_had_begun_is_not_begun_again(tmp_path: Path) -> None:
    server = Doorkeeper(1, after=1)
    client = setwise.connect("localhost:1", transport=server)
    with client, pytest.raises(setwise.ResourceExhaustedError):
        client.download_snapshot(tmp_path / "a.tar")
    assert server.streams == 1
