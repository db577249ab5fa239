"""Every request has a name: the caller's own or a new one, the same in errors, trailers and logs."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from typing import Any

import pytest

import setwise
from setwise._request import current_request_id
from setwise_proto.v1 import server_pb2


def failing(client: Any) -> Any:
    return client.get("no such image")


def name_of(client: setwise.Client) -> str:
    with pytest.raises(setwise.NotFoundError) as caught:
        failing(client)
    return caught.value.request_id


def test_errors_tell_the_name_of_their_request(local: setwise.Client, remote: setwise.Client) -> None:
    for client in (local, remote):
        first, second = name_of(client), name_of(client)
        assert re.fullmatch("[0-9a-f]{16}", first) and first != second


def test_callers_name_their_requests(local: setwise.Client, remote: setwise.Client) -> None:
    for client in (local, remote):
        with setwise.request_id("order-4711"):
            assert [name_of(client), name_of(client)] == ["order-4711"] * 2
        assert name_of(client) != "order-4711"


def test_the_servers_answer_counts(remote: setwise.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server calls it is what its log says, whatever was asked for."""
    monkeypatch.setattr("setwise._transport.current_request_id", lambda: "not fit for a log line")
    assert re.fullmatch("[0-9a-f]{16}", name_of(remote))


@pytest.mark.parametrize("where", ["directory", "server"])
def test_tasks_name_their_own(where: str, collection_path: Path, address: str) -> None:
    async def ask(client: setwise.AsyncClient, name: str) -> str:
        with setwise.request_id(name):
            await asyncio.sleep(0)
            with pytest.raises(setwise.NotFoundError) as caught:
                await failing(client)
        return caught.value.request_id

    async def main() -> list[str]:
        async with setwise.connect_async(collection_path if where == "directory" else address) as client:
            return list(await asyncio.gather(*(ask(client, f"task-{number}") for number in range(5))))

    assert asyncio.run(main()) == [f"task-{number}" for number in range(5)]


@pytest.mark.parametrize("where", ["directory", "server"])
def test_errors_of_one_item_and_of_a_stream(where: str, collection_path: Path, address: str, tmp_path: Path) -> None:
    with setwise.connect(collection_path if where == "directory" else address) as client:
        with setwise.request_id("batch"):
            (outcome,) = client.search_many([b"no image"])
        assert isinstance(outcome, setwise.SetwiseError) and outcome.request_id == "batch"
        with setwise.request_id("stream"), pytest.raises(setwise.NotFoundError) as caught:
            client.download_snapshot(tmp_path / "a.tar", collection="no such")
        assert caught.value.request_id == "stream"


def test_errors_of_the_clients_own_have_none(local: setwise.Client) -> None:
    with pytest.raises(setwise.InvalidArgumentError) as caught:
        local.search(b"", k=0)
    assert caught.value.request_id == ""


def test_a_call_that_nobody_answered_has_a_name_to_look_for(script: Any) -> None:
    with (
        setwise.request_id("lost"),
        setwise.connect("localhost:1", retries=0) as client,
        pytest.raises(setwise.UnavailableError) as caught,
    ):
        client.info()
    assert caught.value.request_id == "lost"


def test_every_attempt_of_a_call_has_the_same_name(script: Any) -> None:
    seen = []

    def answer(_: Any) -> Any:
        seen.append(current_request_id())
        if len(seen) == 1:
            raise setwise.ResourceExhaustedError("full", retry_after=0.0)
        return server_pb2.GetServerInfoResponse()

    with setwise.connect("localhost:1", transport=script(answer)) as client:
        client.info()
    assert len(seen) == 2 and len(set(seen)) == 1


def test_a_fault_in_this_process_is_logged_under_the_name(
    sets_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_: Any) -> None:
        raise RuntimeError("a fault of ours")

    with setwise.connect(sets_path) as client, setwise.request_id("local-1"), caplog.at_level(logging.ERROR):
        monkeypatch.setattr("setwise_engine.collection.Collection.snapshot", break_down)
        with pytest.raises(setwise.InternalError, match="local-1") as caught:
            client.count()
    assert caught.value.request_id == "local-1"
    assert "request local-1 failed" in caplog.text


@pytest.mark.parametrize("name", ["", "two words", "line\n", "x" * 129, "ü", 7])
def test_names_fit_a_log_line(name: Any) -> None:
    with pytest.raises(setwise.InvalidArgumentError, match="the request id is"), setwise.request_id(name):
        pass
