"""The file of keys: what it may say, and how a wrong one is refused."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import pytest

from setwise_engine.errors import InvalidInput, NotFound
from setwise_server.security import Access, Caller
from setwise_server.security._keys import KnownCallers, new_key
from setwise_server.security._keys_file import parse_keys, read_keys

HASH = hashlib.sha256(b"word").hexdigest()
KEY = f'[[key]]\nname = "shop"\nsha256 = "{HASH}"\nscope = "read"\n'


def test_a_key_and_a_certificate_are_read() -> None:
    text = f"""
    [[key]]
    name = "shop"
    sha256 = "{HASH}"
    scope = "write"
    expires = 2027-01-31

    [[certificate]]
    name = "indexer"
    subject = "CN=indexer,O=Shop"
    scope = "admin"
    """
    key, certificate = parse_keys(text.encode(), "keys.toml")
    assert (key.caller, key.sha256, key.expires) == (Caller("shop", Access.WRITE), HASH, date(2027, 1, 31))
    assert (certificate.caller, certificate.subject) == (Caller("indexer", Access.ADMIN), "CN=indexer,O=Shop")


def test_keys_are_known_by_their_hash_and_certificates_by_what_they_say() -> None:
    text = f"""{KEY}
    [[certificate]]
    name = "whole"
    subject = "CN=a"
    scope = "read"

    [[certificate]]
    name = "alternative"
    alternative_name = "a.example"
    scope = "read"
    """
    known = KnownCallers(parse_keys(text.encode(), "keys.toml"))

    def owner(subject: str, *names: str) -> str | None:
        entry = known.by_certificate(subject, list(names))
        return entry.caller.name if entry else None

    assert known.by_key("word") is known.entries[0]
    assert known.by_key(HASH) is None  # whoever reads the file has no key yet
    assert known.by_key("") is None
    assert owner("CN=a", "a.example") == "whole"
    assert owner("CN=b", "x.example", "a.example") == "alternative"
    assert owner("CN=a,O=b", "b.a.example") is None
    assert owner("", "") is None


def test_no_two_new_keys_are_alike_and_each_holds_256_bits() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) == len("setwise_") + 43 for key in keys)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[key]", "no TOML"),
        ("key = 1", "under a line"),
        ("[key]\nname = 'a'", "under a line"),
        ("keys = []", "means nothing here"),
        (KEY + "expire = 2027-01-31", '"expire" means nothing here'),
        (KEY + "subject = 'CN=a'", '"subject" means nothing here'),
        (KEY + "expires = '2027-01-31'", "expires is not a date"),
        (KEY + "expires = 2027-01-31T10:00:00Z", "expires is not a date"),
        (KEY.replace('"read"', '"root"'), "scope is not one of read, write, admin"),
        (KEY.replace('"read"', '"none"'), "scope is not one of"),
        (KEY.replace('"read"', "1"), "scope is not a text"),
        (KEY.replace("shop", "anonymous"), "name is no caller's name"),
        (KEY.replace("shop", "a\\nb"), "name is no caller's name"),
        (KEY.replace("shop", ""), "name is no caller's name"),
        (KEY.replace(HASH, HASH.upper()), "sha256 is not 64"),
        (KEY.replace(HASH, HASH[1:]), "sha256 is not 64"),
        (KEY + KEY.replace("shop", "other"), "there twice"),
        ("[[certificate]]\nname = 'a'\nscope = 'read'", "either subject or alternative_name"),
        ("[[certificate]]\nname = 'a'\nscope = 'read'\nsubject = 'b'\nalternative_name = 'c'", "either subject"),
    ],
)
def test_a_wrong_file_is_refused_naming_the_file_and_what_is_wrong(text: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told) as caught:
        parse_keys(text.encode(), "keys.toml")
    assert "keys.toml" in str(caught.value)


@pytest.mark.parametrize("text", [KEY.replace(HASH, "{key}"), KEY.replace("shop", "{key}"), "{key} = [", "[{key}"])
def test_a_key_that_was_written_in_a_wrong_place_is_not_repeated(text: str) -> None:
    key = new_key()
    with pytest.raises(InvalidInput) as caught:
        parse_keys(text.replace("{key}", key).encode(), "keys.toml")
    assert key not in str(caught.value)


@pytest.mark.parametrize("data", [b"\xff", b"a = " + b"[" * 100_000, b"a = " + b"9" * 10_000])
def test_bytes_that_are_no_toml_are_refused_too(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="no TOML"):
        parse_keys(data, "keys.toml")


def test_a_file_that_is_not_there_is_not_found_and_told_how_to_make(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="setwise key new"):
        read_keys(tmp_path / "keys.toml")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_keys(tmp_path)
