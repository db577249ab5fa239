"""Who is let in where nothing, or something odd, was said; and what does not start at all."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from setwise_engine.errors import InvalidInput
from setwise_server import ServerSettings
from setwise_server.security import Access, Guard
from setwise_server.security._policy import anonymous_access, on_loopback
from setwise_server.settings import Security


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_these_addresses_are_reached_from_this_machine_only(host: str) -> None:
    assert on_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.1", "localhost.example.org", "example.org", "", "127.0.0.1.x"]
)
def test_these_may_be_reached_from_outside(host: str) -> None:
    assert not on_loopback(host)


@pytest.mark.parametrize(
    ("host", "given", "expected"),
    [
        ("127.0.0.1", {}, Access.ADMIN),
        ("0.0.0.0", {}, Access.NONE),
        ("127.0.0.1", {"keys": Path("k")}, Access.NONE),
        ("127.0.0.1", {"client_ca": Path("c")}, Access.NONE),
        ("127.0.0.1", {"anonymous": "none"}, Access.NONE),
        ("0.0.0.0", {"anonymous": "read"}, Access.READ),
        ("0.0.0.0", {"anonymous": "admin", "keys": Path("k")}, Access.ADMIN),
    ],
)
def test_anonymous_callers_may_what_was_said_or_everything_on_loopback_where_nobody_has_a_key(
    host: str, given: dict[str, object], expected: Access
) -> None:
    assert anonymous_access(ServerSettings(host=host, security=Security(**given))) is expected


@pytest.mark.parametrize(
    ("host", "anonymous", "keys"),
    [("0.0.0.0", None, False), ("0.0.0.0", None, True), ("127.0.0.1", "none", False), ("127.0.0.1", None, True)],
)
def test_a_server_that_could_let_nobody_in_does_not_start(
    host: str, anonymous: str | None, keys: bool, tmp_path: Path
) -> None:
    path = tmp_path / "keys.toml"
    path.touch()
    security = Security(anonymous=anonymous, keys=path if keys else None)
    with pytest.raises(InvalidInput, match=r"nobody could be let in.*setwise key new") as caught:
        Guard(ServerSettings(host=host, security=security))
    assert caught.value.field == "--keys"


@pytest.mark.parametrize(
    ("host", "given", "told"),
    [
        ("127.0.0.1", {"anonymous": "admin"}, []),
        ("0.0.0.0", {"anonymous": "write"}, ["may write without a key", "without TLS: pictures"]),
        ("0.0.0.0", {"keys": True}, ["without TLS: keys and pictures"]),
        ("0.0.0.0", {"keys": True, "tls_cert": Path("c")}, []),
    ],
)
def test_what_an_operator_may_not_have_meant_is_logged(keys, caplog, host: str, given, told: list[str]) -> None:
    security = Security(**given | ({"keys": keys.path} if "keys" in given else {}))
    with caplog.at_level(logging.WARNING):
        Guard(ServerSettings(host=host, security=security))
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == len(told)
    assert all(part in message for part, message in zip(told, messages, strict=True))


def warned(caplog, **given) -> str:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        Guard(ServerSettings(host=given.pop("host", "127.0.0.1"), port=0, security=Security(**given)))
    return caplog.text


def test_no_warning_names_a_port_that_is_chosen_only_later(caplog) -> None:
    said = warned(caplog, host="0.0.0.0", anonymous="read")
    assert "whoever reaches 0.0.0.0 may read" in said
    assert "0.0.0.0:0" not in said


def test_certificates_that_nobody_is_asked_for_are_warned_of(keys, caplog) -> None:
    with keys.path.open("a") as file:
        file.write('[[certificate]]\nname = "indexer"\nsubject = "CN=indexer"\nscope = "write"\n')
    assert "without --client-ca callers are not asked for any" in warned(caplog, keys=keys.path)
    assert not warned(caplog, keys=keys.path, client_ca=Path("ca.pem"))


def test_keys_that_others_may_write_are_warned_of(keys, caplog) -> None:
    for mode, told in ((0o600, False), (0o644, False), (0o664, True), (0o602, True)):
        keys.path.chmod(mode)
        assert ("can be written by other users" in warned(caplog, keys=keys.path)) is told
