"""The file of those who may call: API keys by their SHA-256, certificates by what they say.

[[key]]
name = "shop"
sha256 = "9f86d0...0a08"
scope = "read"              # or "write" or "admin"
expires = 2027-01-31        # the last day on which it works, in UTC; optional

[[certificate]]
name = "indexer"
subject = "CN=indexer,O=Shop"     # the whole subject as RFC 4514 writes it, or:
# alternative_name = "spiffe://shop/indexer"
scope = "write"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, NoReturn

from setwise_engine.errors import InvalidInput, NotFound
from setwise_server.security._caller import ANONYMOUS, Access, Caller
from setwise_server.security._keys import KEY_PREFIX, Entry, KnownCallers

__all__ = ["SCOPES", "check_name", "parse_keys", "read_keys"]

SCOPES = {"read": Access.READ, "write": Access.WRITE, "admin": Access.ADMIN}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIELDS = {
    "key": {"name", "scope", "expires", "sha256"},
    "certificate": {"name", "scope", "expires", "subject", "alternative_name"},
}


def read_keys(path: Path) -> KnownCallers:
    """The callers that a file names. Raises NotFound without the file, InvalidInput naming what is wrong in it."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        message = f"there is no file {path} of keys; `setwise key new {path} NAME` makes it"
        raise NotFound(message, field="--keys") from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}", field="--keys") from error
    return KnownCallers(parse_keys(data, str(path)))


def parse_keys(data: bytes, path: str) -> tuple[Entry, ...]:
    """The entries of a file; `path` is for messages. Raises InvalidInput, and never repeats what a key might be."""
    try:
        document = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # no UTF-8, or no TOML
        told = (
            str(error)
            if isinstance(error, tomllib.TOMLDecodeError)
            else "it is no UTF-8 text, or holds what cannot be read"
        )
        raise InvalidInput(f"{path} is no TOML: {told}", field="--keys") from error
    for kind in document:
        if kind not in _FIELDS:
            _refuse(path, f"{_shown(kind)} means nothing here; there are [[key]] and [[certificate]]")
    entries = [
        _entry(kind, item, f"{path}, {kind} {number}")
        for kind in _FIELDS
        for number, item in enumerate(_items(document, kind, path), 1)
    ]
    _check_distinct(entries, path)
    return tuple(entries)


def _items(document: Mapping[str, Any], kind: str, path: str) -> list[dict[str, Any]]:
    items = document.get(kind, [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        _refuse(path, f"write each {kind} under a line [[{kind}]] of its own")
    return items


def _entry(kind: str, item: dict[str, Any], where: str) -> Entry:
    # A key that was written with a slip in its name must not lose, say, the day on which it expires.
    unknown = sorted(item.keys() - _FIELDS[kind])
    if unknown:
        _refuse(where, f"{_shown(unknown[0])} means nothing here; known are {', '.join(sorted(_FIELDS[kind]))}")
    texts = {name: _text(item, name, where) for name in _FIELDS[kind] - {"expires"}}
    check_name(texts["name"], f"{where}: name")
    if texts["scope"] not in SCOPES:
        _refuse(where, f"scope is not one of {', '.join(SCOPES)}")
    if kind == "key" and not _SHA256.fullmatch(texts["sha256"]):
        _refuse(where, "sha256 is not 64 hexadecimal digits in lower case: it is the SHA-256 of the key, not the key")
    if kind == "certificate" and bool(texts["subject"]) == bool(texts["alternative_name"]):
        _refuse(where, "give either subject or alternative_name")
    caller = Caller(texts.pop("name"), SCOPES[texts.pop("scope")])
    return Entry(caller, expires=_day(item.get("expires"), where), **texts)


def _shown(name: str) -> str:
    """A name as messages repeat it; not one that may be a key in the wrong place."""
    return "what stands before an =" if KEY_PREFIX in name or len(name) > 40 else f'"{name}"'


def _text(item: dict[str, Any], name: str, where: str) -> str:
    value = item.get(name, "")
    if not isinstance(value, str):
        _refuse(where, f"{name} is not a text in quotes")
    return value


def _day(value: object, where: str) -> date | None:
    if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
        _refuse(where, "expires is not a date such as 2027-01-31, without quotes")
    return value


def _check_distinct(entries: list[Entry], path: str) -> None:
    """One key or certificate of two scopes would have whichever comes last."""
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        mark = next(
            (kind, value) for kind in ("sha256", "subject", "alternative_name") if (value := getattr(entry, kind))
        )
        if mark in seen:
            _refuse(path, f'the {mark[0]} of "{entry.caller.name}" is there twice')
        seen.add(mark)


def check_name(name: str, field: str) -> None:
    """Raises InvalidInput for what no caller may be called: names go into logs and metrics, and a key in the place of
    its name must not."""
    if not _NAME.fullmatch(name) or name == ANONYMOUS.name or name.startswith(KEY_PREFIX):
        raise InvalidInput(
            f"{field} is no caller's name; take a letter or digit, then up to 63 letters, digits, dots, hyphens, "
            f'underscores and @; not "{ANONYMOUS.name}", and not what begins with "{KEY_PREFIX}" as keys do',
            field=field,
        )


def _refuse(where: str, what: str) -> NoReturn:
    raise InvalidInput(f"{where}: {what}", field="--keys")
