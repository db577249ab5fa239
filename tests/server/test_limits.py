"""Deadlines, cancellation, a full queue and messages that are too large, over the wire."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import grpc
import pytest

from setwise_engine.search import Searcher
from setwise_proto.v1 import search_pb2 as pb
from setwise_proto.v1 import types_pb2 as types
from setwise_server import Limits, ServerSettings

REQUEST = pb.SearchRequest(query=types.Query(id="set-01"))


@pytest.fixture
def narrow(serving, sets_path, gate):
    """One call computes, one waits, a third is refused."""
    with serving([sets_path], ServerSettings(port=0, device="cpu", workers=1, max_queue=1, grace=5)) as stubs:
        yield stubs
        gate.opened.set()


@contextmanager
def eventually(seconds: float = 5):
    """Repeat an assertion until it holds."""
    end = time.monotonic() + seconds
    yield lambda holds: _wait(holds, end)


def _wait(holds, end) -> None:
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_passed_deadline_stops_the_work_between_stages(narrow, gate) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        narrow.search.Search(REQUEST, timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    with eventually() as until:
        until(lambda: gate.ended == ["DeadlineError"])


def test_a_cancelled_call_stops_its_work(narrow, gate) -> None:
    call = narrow.search.Search.future(REQUEST)
    assert gate.entered.acquire(timeout=5)
    call.cancel()
    with eventually() as until:
        until(lambda: gate.ended == ["CancelledError"])


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(narrow, gate) -> None:
    running = narrow.search.Search.future(REQUEST)
    assert gate.entered.acquire(timeout=5)
    waiting = narrow.search.Search.future(REQUEST)
    time.sleep(0.1)
    failure = narrow.failure(narrow.search.Search, REQUEST)
    assert failure.status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert failure.info.reason == "SERVER_BUSY"
    assert failure.retry.retry_delay.seconds == 1
    gate.opened.set()
    assert running.result().hits[0].id == waiting.result().hits[0].id == "set-01"


def test_a_running_call_is_answered_when_the_server_stops(serving, sets_path, gate) -> None:
    with serving([sets_path], ServerSettings(port=0, device="cpu", grace=10)) as stubs:
        running = stubs.search.Search.future(REQUEST)
        assert gate.entered.acquire(timeout=5)
        threading.Timer(0.3, gate.opened.set).start()
        stubs.stop()
        assert running.result().hits[0].id == "set-01"


def test_a_fault_of_ours_is_internal_and_tells_no_more_than_an_id(serving, sets_path, monkeypatch) -> None:
    def broken(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr(Searcher, "search_id", broken)
    with serving([sets_path]) as stubs:
        failure = stubs.failure(stubs.search.Search, REQUEST)
        assert failure.status.code == grpc.StatusCode.INTERNAL.value[0]
        assert "secret" not in str(failure.status)
        batch = pb.SearchBatchRequest(queries=[REQUEST.query])
        assert stubs.search.SearchBatch(batch).items[0].error.reason == "INTERNAL"


@pytest.fixture
def small(serving, photos_path):
    limits = Limits(max_message_bytes=100_000, max_image_bytes=50_000)
    with serving([photos_path], ServerSettings(port=0, device="cpu", limits=limits)) as stubs:
        yield stubs


def test_a_message_somewhat_beyond_the_limit_is_refused_with_field_and_limit(small) -> None:
    failure = small.failure(small.search.Search, pb.SearchRequest(query=types.Query(image=bytes(100_001))))
    assert failure.info.reason == "LIMIT_EXCEEDED"
    assert dict(failure.info.metadata) == {"limit": "max_message_bytes", "allowed": "100000", "field": "request"}


def test_a_message_far_beyond_the_limit_is_refused_before_it_is_read(small) -> None:
    with pytest.raises(grpc.RpcError, match="larger than max") as caught:
        small.search.Search(pb.SearchRequest(query=types.Query(image=bytes(130_000))))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_image_beyond_the_limit_is_refused_by_its_size(small) -> None:
    failure = small.failure(small.search.Search, pb.SearchRequest(query=types.Query(image=bytes(50_001))))
    assert failure.violations[0].field == "query.image"
    assert dict(failure.info.metadata) == {"limit": "max_image_bytes", "allowed": "50000", "field": "query.image"}


def test_a_search_that_asks_for_more_metadata_fields_than_a_filter_may_have_terms_is_refused(server) -> None:
    request = pb.SearchRequest(collection="sets", query=types.Query(id="set-01"))
    request.options.metadata.fields.extend(f"f{n}" for n in range(10_001))
    failure = server.failure(server.search.Search, request)
    field = "options.metadata.fields"
    assert dict(failure.info.metadata) == {"limit": "max_filter_terms", "allowed": "10000", "field": field}


def test_an_answer_that_would_not_fit_says_what_to_ask_instead(small, photos) -> None:
    options = pb.SearchOptions(include_thumbnail=True, include_matches=True)
    request = pb.SearchRequest(query=types.Query(id=photos[0].name), options=options)
    failure = small.failure(small.search.Search, request)
    assert failure.info.reason == "REPLY_TOO_LARGE"
    assert failure.status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert failure.retry is None
    assert "without thumbnails" in failure.status.message
