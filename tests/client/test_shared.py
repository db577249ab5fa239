"""What many want to know at once is asked once; who asked in vain holds up nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.protobuf.message import Message

import setwise
from setwise_proto.v1 import server_pb2


class Slow:
    """A server that takes its time to tell its limits. fail: how often it says something else first."""

    def __init__(self, seconds: float = 0.1, *, fail: int = 0, timed: bool = False) -> None:
        self.seconds, self.left, self.timed = seconds, fail, timed
        self.asked, self._lock = 0, threading.Lock()

    def call(self, method: str, request: Message, reply: type[Message], timeout: float | None) -> Message:
        """As Transport.call; `timed`: an impatient caller is told so, after its time."""
        if not method.endswith("GetServerInfo"):
            return reply()
        with self._lock:
            self.asked += 1
            failing, self.left = self.left > 0, self.left - 1
        impatient = self.timed and timeout is not None and timeout < self.seconds
        time.sleep(timeout if impatient and timeout is not None else self.seconds)
        if impatient:
            raise setwise.DeadlineExceededError("late")
        if failing:
            raise setwise.InternalError("a fault")
        return server_pb2.GetServerInfoResponse(limits=server_pb2.Limits(max_k=50))

    def stream(self, *_: Any) -> Any:
        """Has none."""
        raise AssertionError

    def close(self) -> None:
        """Nothing to close."""


class AsyncSlow(Slow):
    """The same for asyncio."""

    async def call(self, method: str, request: Message, reply: type[Message], timeout: float | None) -> Message:  # type: ignore[override]
        """As AsyncTransport.call."""
        return await asyncio.to_thread(super().call, method, request, reply, timeout)

    async def close(self) -> None:  # type: ignore[override]
        """Nothing to close."""


def test_threads_ask_for_the_limits_once() -> None:
    server = Slow()
    with setwise.connect("localhost:1", transport=server) as client, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: client.count(), range(20)))
    assert (answers, server.asked) == ([0] * 20, 1)


def test_tasks_ask_for_the_limits_once() -> None:
    server: Any = AsyncSlow()

    async def main() -> list[int]:
        async with setwise.connect_async("localhost:1", transport=server) as client:
            return await asyncio.gather(*(client.count() for _ in range(20)))

    assert (asyncio.run(main()), server.asked) == ([0] * 20, 1)


def test_all_who_wait_are_told_of_a_failure() -> None:
    server = Slow(fail=1)

    def ask(_: int) -> str:
        try:
            return str(client.count())
        except setwise.InternalError as error:
            return error.message

    with setwise.connect("localhost:1", transport=server) as client, ThreadPoolExecutor(3) as pool:
        assert set(pool.map(ask, range(3))) == {"a fault"}
        assert client.count() == 0
    assert server.asked == 2


def test_an_impatient_caller_fails_alone() -> None:
    server = Slow(0.3, timed=True)
    with setwise.connect("localhost:1", transport=server) as client, ThreadPoolExecutor(2) as pool:
        impatient = pool.submit(client.count, timeout=0.05)
        while not server.asked:
            time.sleep(0.001)
        patient = pool.submit(client.count, timeout=30)
        with pytest.raises(setwise.DeadlineExceededError):
            impatient.result()
        assert patient.result() == 0


def test_who_waits_for_another_has_a_timeout_of_his_own() -> None:
    server = Slow(0.5)
    with setwise.connect("localhost:1", transport=server) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.count)
        while not server.asked:
            time.sleep(0.001)
        with pytest.raises(setwise.DeadlineExceededError, match="not told its limits in time"):
            client.count(timeout=0.05)
        assert first.result() == 0


def test_a_cancelled_task_leaves_the_question_to_the_next() -> None:
    server: Any = AsyncSlow(0.2)

    async def main() -> int:
        async with setwise.connect_async("localhost:1", transport=server) as client:
            first = asyncio.create_task(client.count())
            while not server.asked:
                await asyncio.sleep(0.001)
            second = asyncio.create_task(client.count())
            await asyncio.sleep(0.02)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            return await second

    assert asyncio.run(main()) == 0
    assert server.asked == 2


def test_limits_that_were_passed_hold_until_new_ones_are_told() -> None:
    """Those who ask for the new ones meanwhile still keep to the old ones."""
    server = Slow(0)
    with setwise.connect("localhost:1", transport=server) as client:
        with pytest.raises(setwise.InvalidArgumentError):
            client.search(setwise.Id("a"), k=51)
        assert client._context.known is not None and client._context.known.max_k == 50
        client.count()
    assert server.asked == 2
