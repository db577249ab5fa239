"""What is asked again, how often, and for how long."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

import setwise
from setwise._retry import Budget, Retries
from setwise_proto.v1 import server_pb2

INFO = server_pb2.GetServerInfoResponse(version="1")
GONE = setwise.UnavailableError("nobody there")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of at most a millisecond."""
    monkeypatch.setattr(Retries.__init__, "__defaults__", (4, 0.001, 0.001))


def ask(transport: Any, **options: Any) -> setwise.ServerInfo:
    with setwise.connect("localhost:1", transport=transport, **options) as client:
        return client.info()


def test_nobody_there_is_asked_again(script: Any) -> None:
    transport = script(GONE, GONE, INFO)
    assert ask(transport).version == "1"
    assert len(transport.calls) == 3


def test_a_full_server_is_asked_again_when_it_said_when(script: Any) -> None:
    transport = script(setwise.ResourceExhaustedError("full", retry_after=0.05), INFO)
    before = time.monotonic()
    ask(transport)
    assert time.monotonic() - before >= 0.05


@pytest.mark.parametrize(
    "error",
    [
        setwise.ResourceExhaustedError("too large"),
        setwise.DeadlineExceededError("late"),
        setwise.InvalidArgumentError("wrong"),
        setwise.InternalError("broken"),
        setwise.DataLossError("rotten"),
    ],
)
def test_other_errors_are_told_at_once(script: Any, error: setwise.SetwiseError) -> None:
    transport = script(error)
    with pytest.raises(type(error)):
        ask(transport)
    assert len(transport.calls) == 1


def test_attempts_end(script: Any) -> None:
    transport = script(GONE)
    with pytest.raises(setwise.UnavailableError, match="nobody there"):
        ask(transport, retries=2)
    assert len(transport.calls) == 3


def test_no_wait_is_begun_that_the_timeout_would_cut(script: Any) -> None:
    transport = script(setwise.ResourceExhaustedError("full", retry_after=30.0))
    before = time.monotonic()
    with pytest.raises(setwise.ResourceExhaustedError):
        ask(transport, timeout=5.0)
    assert time.monotonic() - before < 1.0


def test_every_attempt_gets_what_is_left_of_the_timeout(script: Any) -> None:
    transport = script(setwise.ResourceExhaustedError("full", retry_after=0.05), INFO)
    ask(transport, timeout=10.0)
    first, second = (timeout for _, _, timeout in transport.calls)
    assert second <= first - 0.05 <= 10.0


def test_asyncio_retries_alike(async_script: Any) -> None:
    transport = async_script(GONE, INFO)

    async def main() -> setwise.ServerInfo:
        async with setwise.connect_async("localhost:1", transport=transport) as client:
            return await client.info()

    assert asyncio.run(main()).version == "1"
    assert (len(transport.script.calls), transport.script.closed) == (2, 1)


def test_waits_are_drawn_from_all_of_a_growing_range() -> None:
    retries = Retries(10, first=0.1, longest=1.0)
    for attempt, bound in enumerate([0.1, 0.2, 0.4, 0.8, 1.0, 1.0]):
        waits = [retries.wait(GONE, attempt, 100.0) or 0.0 for _ in range(400)]
        assert 0.9 * bound < max(waits) <= bound
        assert min(waits) < 0.1 * bound


def test_a_budget_without_limit_never_ends() -> None:
    assert Budget(None).timeout() is None
    assert Budget(None).remaining() == float("inf")
    assert Budget(0.001).remaining() > 0


def test_a_closed_client_says_so(script: Any) -> None:
    transport = script(INFO)
    client = setwise.connect("localhost:1", transport=transport)
    client.close()
    client.close()
    assert transport.closed == 1
    with pytest.raises(setwise.ClosedError, match="localhost:1 was closed"):
        client.info()
    assert "closed" in repr(client)


def test_no_server_at_the_address() -> None:
    client = setwise.connect("localhost:1", retries=0, timeout=5)
    with client, pytest.raises(setwise.UnavailableError, match=r"no server answers at localhost:1 .* `setwise serve`"):
        client.info()


def test_no_server_at_the_address_for_asyncio() -> None:
    async def main() -> None:
        async with setwise.connect_async("localhost:1", retries=0, timeout=5) as client:
            await client.info()

    with pytest.raises(setwise.UnavailableError, match="no server answers at localhost:1"):
        asyncio.run(main())


def test_a_server_that_is_loading_is_waited_for_while_there_is_time() -> None:
    loading = setwise.UnavailableError("still loading", reason="NOT_READY", retry_after=1.0)
    assert Retries(most=4).wait(loading, attempt=50, remaining=60.0) is not None
    assert Retries(most=4).wait(loading, attempt=50, remaining=0.5) is None
    assert Retries(most=0).wait(loading, attempt=0, remaining=60.0) is None, "who wants no retries gets none"
