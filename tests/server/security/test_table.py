"""The table of authorisation: every method, asked for by every kind of caller, over real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest

from setwise_server._reflection import REFLECTION_PATHS
from setwise_server._servicer import PATHS
from setwise_server.security import RULES

WRITE = {"Upsert", "UpsertImages", "DeleteImages", "UpdateMetadata"}
ADMIN = {
    *("CreateCollection", "FitEncoder", "DropCollection", "CompactCollection"),
    *("SetAlias", "DeleteAlias", "DownloadSnapshot"),
}
READ = {
    *("Search", "SearchBatch", "Rerank", "Compare", "GetImage", "ListImages", "CountImages"),
    *("ListCollections", "GetCollection", "ListAliases", "GetServerInfo", "ServerReflectionInfo"),
}
RANK = {"none": 0, "read": 1, "write": 2, "admin": 3}

ALL = sorted(PATHS | REFLECTION_PATHS)
HEALTH = "/grpc.health.v1.Health/Check"
REFUSED = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


def needed(path: str) -> int:
    """The rank of the scope that this test holds a method to."""
    name = path.rpartition("/")[2]
    return next(rank for rank, names in ((1, READ), (2, WRITE), (3, ADMIN)) if name in names)


@pytest.fixture(scope="module")
def servers(serve, module_keys) -> Iterator[dict[str, str]]:
    """Addresses of servers with the same keys, by what they allow callers without one."""
    with ExitStack() as stack:
        yield {anonymous: stack.enter_context(serve(keys=module_keys.path, anonymous=anonymous)) for anonymous in RANK}


@pytest.fixture
def ask(servers, asking) -> Iterator[Any]:
    """Asks the server that lets no anonymous caller in."""
    with asking(servers["none"]) as ask:
        yield ask


def test_every_method_has_a_rule_and_a_line_in_this_table() -> None:
    """A new method fails here until somebody has decided who may call it."""
    assert set(RULES) == set(ALL)
    assert {path.rpartition("/")[2] for path in ALL} == READ | WRITE | ADMIN


@pytest.mark.parametrize("path", ALL)
def test_each_scope_may_what_it_says_and_no_more(ask, module_keys, path: str) -> None:
    for scope in ("read", "write", "admin"):
        code = ask.code(path, module_keys.of(scope))
        if RANK[scope] >= needed(path):
            assert code not in REFUSED, f"{path} refused scope {scope}"
        else:
            assert code is grpc.StatusCode.PERMISSION_DENIED, f"{path} let scope {scope} in: {code}"


@pytest.mark.parametrize("caller", ["nobody", "stranger", "expired"])
@pytest.mark.parametrize("path", ALL)
def test_nobody_gets_in_without_a_key_that_is_known_and_valid(ask, module_keys, path: str, caller: str) -> None:
    assert ask.code(path, module_keys.of(caller)) is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("anonymous", RANK)
def test_without_a_key_one_may_what_the_server_allows_everybody(servers, asking, module_keys, anonymous: str) -> None:
    with asking(servers[anonymous]) as ask:
        let_in = {path for path in ALL if ask.code(path) not in REFUSED}
        assert let_in == {path for path in ALL if needed(path) <= RANK[anonymous]}
        for caller in ("stranger", "expired"):  # a wrong key is refused even where none would have done
            assert ask.code(ALL[0], module_keys.of(caller)) is grpc.StatusCode.UNAUTHENTICATED


def test_a_key_may_what_everybody_may_not(servers, asking, module_keys) -> None:
    with asking(servers["read"]) as ask:
        compact = "/setwise.v1.CollectionService/CompactCollection"
        assert ask.code(compact) is grpc.StatusCode.UNAUTHENTICATED
        assert ask.code(compact, module_keys.of("admin")) not in REFUSED


def test_health_is_open_to_everybody(ask, module_keys) -> None:
    for caller in ("nobody", "stranger", "expired", "read"):
        assert ask.code(HEALTH, module_keys.of(caller)) is grpc.StatusCode.OK


def test_health_lists_no_names_to_strangers(ask) -> None:
    """It is open, and would name every collection."""
    assert ask.code("/grpc.health.v1.Health/List") is grpc.StatusCode.UNIMPLEMENTED


def test_a_method_without_a_rule_is_closed_even_to_admins(ask, module_keys, monkeypatch) -> None:
    path = "/setwise.v1.SearchService/Search"
    monkeypatch.delitem(RULES, path)
    for scope in ("read", "write", "admin"):
        assert ask.code(path, module_keys.of(scope)) is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic {key}", "{key}", "Bearer {key}x", "Bearer {key} x"])
def test_a_key_is_taken_whole_or_not_at_all(ask, module_keys, header: str) -> None:
    key = module_keys.by_scope["admin"]
    metadata = [("authorization", header.format(key=key))]
    assert ask.code(ALL[0], metadata) is grpc.StatusCode.UNAUTHENTICATED
    assert ask.code(ALL[0], [("authorization", f"bearer  {key}")]) not in REFUSED
