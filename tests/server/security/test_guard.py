"""The guard by itself: who is who, how long, and why one is refused. Every method and scope: test_table.py."""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime, timedelta

import pytest

from setwise_server import ServerSettings
from setwise_server._errors import ForbiddenError, UnauthenticatedError
from setwise_server.security import ANONYMOUS, Access, Caller, Guard, add_key, revoke_keys
from setwise_server.settings import Security

SEARCH = "/setwise.v1.SearchService/Search"
DROP = "/setwise.v1.CollectionService/DropCollection"


def guard_of(keys, **security) -> Guard:
    return Guard(ServerSettings(security=Security(keys=keys.path, **security)))


def who(guard: Guard, keys, caller: str) -> Caller:
    return guard.identify(dict(keys.of(caller)), {})


def test_a_caller_has_the_name_and_scope_of_his_key(keys) -> None:
    guard = guard_of(keys)
    assert who(guard, keys, "write") == Caller("write", Access.WRITE)
    assert who(guard, keys, "nobody") == Caller(ANONYMOUS.name, Access.NONE)


@pytest.mark.parametrize(("caller", "told"), [("stranger", "not known here"), ("expired", "expired on 2020-01-31")])
def test_why_a_key_is_refused_is_said_without_the_key(keys, caller: str, told: str) -> None:
    with pytest.raises(UnauthenticatedError, match=told) as caught:
        guard = guard_of(keys)
        guard.check(who(guard, keys, caller), SEARCH)
    [(_, header)] = keys.of(caller)
    assert header.removeprefix("Bearer setwise_") not in str(caught.value)
    assert caught.value.field == "authorization"


def test_a_refusal_says_what_would_be_needed(keys) -> None:
    guard = guard_of(keys)
    with pytest.raises(ForbiddenError, match='DropCollection needs scope admin, and "write" has write'):
        guard.check(who(guard, keys, "write"), DROP)
    with pytest.raises(UnauthenticatedError, match=r"Search needs a key with scope read.*authorization: Bearer KEY"):
        guard.check(who(guard, keys, "nobody"), SEARCH)
    with pytest.raises(ForbiddenError, match="no rule"):
        guard.check(who(guard, keys, "admin"), "/setwise.v1.SearchService/New")
    guard.check(who(guard, keys, "read"), SEARCH)


def test_a_key_works_on_its_last_day_and_not_on_the_next(keys) -> None:
    today = datetime.now(UTC).date()
    last = add_key(keys.path, "last-day", "read", today)
    over = add_key(keys.path, "over", "read", today - timedelta(days=1))
    guard = guard_of(keys)
    guard.check(guard.identify({"authorization": f"Bearer {last}"}, {}), SEARCH)
    with pytest.raises(UnauthenticatedError, match="expired"):
        guard.check(guard.identify({"authorization": f"Bearer {over}"}, {}), SEARCH)


@pytest.mark.parametrize("key", ["A" * 100_000, "\x00", "k\u00e9y", "\udcff", "\n", "=" * 255])
def test_any_text_is_only_a_wrong_key(keys, key: str) -> None:
    with pytest.raises(UnauthenticatedError):
        guard_of(keys).identify({"authorization": f"Bearer {key}"}, {})


def test_of_two_keys_none_counts(keys) -> None:
    """Whoever stands in front of the server may have looked at the other one."""
    [(_, known)], [(_, wrong)] = keys.of("admin"), keys.of("stranger")
    for header in (f"{wrong},{known}", f"{known},{wrong}"):
        with pytest.raises(UnauthenticatedError, match="more than one key"):
            guard_of(keys).identify({"authorization": header}, {})


def test_new_keys_are_known_and_revoked_ones_forgotten_without_a_restart(keys, monkeypatch) -> None:
    monkeypatch.setattr("setwise_server.security._guard._LOOK_S", 0.0)
    guard = guard_of(keys)
    revoke_keys(keys.path, "read")
    with pytest.raises(UnauthenticatedError, match="not known"):
        who(guard, keys, "read")
    added = add_key(keys.path, "added", "admin", None)
    assert guard.identify({"authorization": f"Bearer {added}"}, {}).name == "added"


def test_the_file_is_looked_at_once_a_second_at_most(keys) -> None:
    guard = guard_of(keys)
    who(guard, keys, "read")
    keys.path.unlink()
    for _ in range(1000):
        assert who(guard, keys, "read").name == "read"


def test_a_broken_file_keeps_the_keys_that_were_known_and_is_logged_once(keys, monkeypatch, caplog) -> None:
    monkeypatch.setattr("setwise_server.security._guard._LOOK_S", 0.0)
    guard = guard_of(keys)
    whole = keys.path.read_text()
    keys.path.write_text(whole[: len(whole) // 2] + '"')
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert who(guard, keys, "admin").name == "admin"
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert str(keys.path) in record.getMessage()
    keys.path.write_text("")
    with pytest.raises(UnauthenticatedError):
        who(guard, keys, "admin")  # an empty file is a whole one: everybody was revoked


def test_who_a_certificate_belongs_to(keys) -> None:
    with keys.path.open("a") as file:
        file.write('[[certificate]]\nname = "indexer"\nsubject = "CN=indexer,O=Shop"\nscope = "write"\n')
    guard = guard_of(keys, anonymous="read")
    assert guard.identify({}, {"x509_subject": [b"CN=indexer,O=Shop"]}) == Caller("indexer", Access.WRITE)
    assert guard.identify({}, {"x509_subject": [b"CN=indexer"]}).name == ANONYMOUS.name
    assert guard.identify({}, {"x509_common_name": [b"CN=indexer,O=Shop"]}).name == ANONYMOUS.name


def test_hashes_are_told_from_each_other_in_the_whole(keys) -> None:
    """Of two keys whose hashes begin alike, each is only itself."""
    near = keys.path.read_text()
    digest = hashlib.sha256(keys.by_scope["admin"].encode()).hexdigest()
    keys.path.write_text(near.replace(digest, digest[:-1] + ("0" if digest[-1] != "0" else "1")))
    with pytest.raises(UnauthenticatedError):
        who(guard_of(keys), keys, "admin")
