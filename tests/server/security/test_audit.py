"""The audit log: who was refused, who wrote; and nothing that must stay secret."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import grpc
import pytest

from setwise_proto.v1 import collections_pb2 as collections
from setwise_proto.v1 import images_pb2 as images
from setwise_proto.v1 import search_pb2, server_pb2, types_pb2
from setwise_server import ServerSettings
from setwise_server._visit import Visit
from setwise_server.observe import logs
from setwise_server.security import Access, Caller
from setwise_server.security._audit import LINES_A_SECOND, Audit
from setwise_server.settings import Observe, Security

UPSERT = "/setwise.v1.ImageService/UpsertImages"
SEARCH = "/setwise.v1.SearchService/Search"
OK, DENIED = grpc.StatusCode.OK, grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture
def lines() -> Iterator[StringIO]:
    """What is logged, as JSON, from level debug on."""
    stream = StringIO()
    with logs(Observe(log_format="json", log_level="debug"), stream):
        yield stream


def audited(lines: StringIO) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [line for line in found if line["logger"] == "setwise.audit"]


def visit(method: str, caller: str = "shop") -> Visit:
    return Visit(method, "r-1", "ipv4:10.0.0.1:5", Caller(caller, Access.READ))


def test_refusals_and_writes_are_told_with_who_and_which_and_reads_are_not(lines) -> None:
    audit = Audit()
    audit.ended(visit(UPSERT), DENIED, "FORBIDDEN")
    audit.ended(visit(UPSERT), OK)
    audit.ended(visit(UPSERT), grpc.StatusCode.ABORTED, "LOCKED")
    audit.ended(visit(SEARCH), OK)
    refused, done, failed = audited(lines)
    assert refused["message"] == "UpsertImages refused"
    assert refused["level"] == "warning"
    named = {"caller": "shop", "request_id": "r-1", "peer": "ipv4:10.0.0.1:5", "code": "PERMISSION_DENIED"}
    assert refused.items() >= named.items()
    assert done["message"] == "UpsertImages done"
    assert (failed["message"], failed["reason"]) == ("UpsertImages failed", "LOCKED")


def test_a_flood_of_refusals_is_told_in_a_few_lines_and_writes_all_the_same(lines) -> None:
    audit = Audit()
    for _ in range(1000):
        audit.ended(visit(SEARCH), DENIED)
        audit.ended(visit(UPSERT), OK)
    told = [line["message"] for line in audited(lines)]
    assert told.count("UpsertImages done") == 1000
    assert LINES_A_SECOND <= told.count("Search refused") < 500


def test_the_audit_is_kept_whatever_the_level_of_the_log() -> None:
    stream = StringIO()
    with logs(Observe(log_format="json", log_level="error"), stream):
        Audit().ended(visit(UPSERT), OK)
        Audit().ended(visit(SEARCH), DENIED)
    assert len(audited(stream)) == 2


@pytest.fixture
def stubs(serving, keys, tmp_path: Path) -> Iterator[Any]:
    """A server of a folder of collections that keeps no secret of what it does."""
    (tmp_path / "root").mkdir()
    settings = ServerSettings(
        port=0,
        device="cpu",
        root=tmp_path / "root",
        commit_ms=5,
        security=Security(keys=keys.path),
        observe=Observe(log_level="debug", slow_ms=0, metrics_port=0),
    )
    with serving([], settings) as stubs:
        yield stubs


def test_who_did_what_is_told_with_its_request_id(stubs, keys, lines) -> None:
    admin, nobody = keys.of("admin"), keys.of("nobody")
    create = collections.CreateCollectionRequest(name="new", features=True, dims=4)
    call = stubs.collections.CreateCollection.with_call(create, metadata=[*admin, ("x-request-id", "mine-1")])[1]
    assert dict(call.trailing_metadata())["x-request-id"] == "mine-1"
    for metadata in (nobody, keys.of("expired"), keys.of("read")):
        with pytest.raises(grpc.RpcError):
            stubs.collections.DropCollection(collections.DropCollectionRequest(name="new"), metadata=metadata)
    done, *refused = audited(lines)
    assert done.items() >= {"message": "CreateCollection done", "caller": "admin", "request_id": "mine-1"}.items()
    assert done["asked"]["name"] == "new"
    assert [line["caller"] for line in refused] == ["anonymous", "expired", "read"]
    assert [line["code"] for line in refused] == ["UNAUTHENTICATED", "UNAUTHENTICATED", "PERMISSION_DENIED"]


def test_a_stream_is_told_with_what_it_began_with(stubs, keys, lines, make_item) -> None:
    create = collections.CreateCollectionRequest(name="new", features=True, dims=16)
    stubs.collections.CreateCollection(create, metadata=keys.of("admin"))
    start = images.UpsertRequest(start=images.UpsertStart(collection="new"))
    sent = images.UpsertRequest(data=images.UpsertData(images=[make_item("a", 1, secret="his own")]))
    list(stubs.images.Upsert(iter([start, sent]), metadata=keys.of("write")))
    done = audited(lines)[-1]
    assert done.items() >= {"message": "Upsert done", "caller": "write", "asked": {"start.collection": "new"}}.items()
    assert "his own" not in lines.getvalue()


def test_nothing_that_is_logged_holds_a_key_whatever_is_done_with_it(stubs, keys, lines, make_item, caplog) -> None:
    """Keys that are right, wrong, expired, put in wrong places; calls that succeed and calls that fail."""
    caplog.set_level(logging.DEBUG)
    stranger = "setwise_" + 43 * "Q"
    create = collections.CreateCollectionRequest(name="a", features=True, dims=4)
    secrets = [*keys.by_scope.values(), stranger]
    for key in secrets:
        for header in (f"Bearer {key}", key, f"Basic {key}", f"Bearer {key}x"):
            metadata = [("authorization", header), ("traceparent", key), ("x-request-id", "id-1"), ("x-api-key", key)]
            _try(stubs.server.GetServerInfo, server_pb2.GetServerInfoRequest(), metadata)
            _try(stubs.collections.CreateCollection, create, metadata)
            _try(stubs.images.UpsertImages, images.UpsertImagesRequest(images=[make_item("a", 1)]), metadata)
            _try(stubs.search.Search, search_pb2.SearchRequest(query=types_pb2.Query(id="nope")), metadata)
    logged = lines.getvalue() + caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert logged.count("CreateCollection") > len(secrets)
    for key in secrets:
        assert key.removeprefix("setwise_")[:12] not in logged


def _try(rpc: Any, request: Any, metadata: list[tuple[str, str]]) -> None:
    with contextlib.suppress(grpc.RpcError):
        rpc(request, metadata=metadata)
