"""Changes to the file of keys: a key more, a key less, and everything else in it, remarks too, as it was."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

from setwise_engine.errors import CollectionError, InvalidInput, NotFound
from setwise_server.security._keys import Entry, new_key, sha256
from setwise_server.security._keys_file import check_name, parse_keys

__all__ = ["add_key", "key_id", "load_keys", "revoke_keys"]

_ID_DIGITS = 8
_TABLE = "[[key]]"
_HEAD = "# Who may call: API keys by their SHA-256, and certificates. Servers read it again when it changes.\n"


def key_id(entry: Entry) -> str:
    """What tells keys of one name apart: the first digits of the hash, of which nothing can be learned."""
    return entry.sha256[:_ID_DIGITS]


def load_keys(path: Path) -> tuple[Entry, ...]:
    """All entries. Raises NotFound without the file, InvalidInput naming what is wrong in it."""
    return parse_keys(_read(path), str(path))


def add_key(path: Path, name: str, scope: str, expires: date | None) -> str:
    """Makes a key and keeps its hash in the file, which is made where there is none; the key, which is kept nowhere.

    A name may have several keys, so that a new one can be handed out before the old one is revoked.
    Raises InvalidInput for a wrong name or file, CollectionError when it cannot be written.
    """
    check_name(name, "NAME")
    key = new_key()
    lines = ["", _TABLE, f'name = "{name}"', f'sha256 = "{sha256(key)}"', f'scope = "{scope}"']
    lines += [f"expires = {expires.isoformat()}"] if expires else []
    with _alone(path):
        try:
            before = _read(path).decode()
        except NotFound:
            before = _HEAD
        parse_keys(before.encode(), str(path))
        after = before + ("" if before.endswith("\n") else "\n") + "\n".join(lines) + "\n"
        _check(after, path, lambda entries: any(entry.sha256 == sha256(key) for entry in entries))
        _write(path, after)
    return key


def revoke_keys(path: Path, name_or_id: str) -> list[Entry]:
    """Takes every key of this name, or the one of this id, out of the file; what was taken.

    Raises NotFound when there is none, InvalidInput for a wrong file, CollectionError when it cannot be written.
    """
    with _alone(path):
        text = _read(path).decode()
        entries = parse_keys(text.encode(), str(path))
        gone = [entry for entry in entries if entry.sha256 and name_or_id in (entry.caller.name, key_id(entry))]
        if not gone:
            raise NotFound(f'there is no key "{name_or_id[:80]}" in {path}; `setwise key list` shows all', field="KEY")
        kept = tuple(entry for entry in entries if entry not in gone)
        after = _without(text, {entry.sha256 for entry in gone})
        _check(after, path, lambda left: left == kept)
        _write(path, after)
    return gone


def _without(text: str, hashes: set[str]) -> str:
    """The text less the tables of these keys. A table ends where the next begins, or with an empty line or remark."""
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.strip().startswith(_TABLE)]
    dropped: set[int] = set()
    for start in starts:
        end = start + 1
        while end < len(lines) and lines[end].strip() and lines[end].strip()[0] not in "[#":
            end += 1
        if any(digest in line for line in lines[start:end] for digest in hashes):
            gap = start > 0 and not lines[start - 1].strip()
            dropped.update(range(start - gap, end))
    return "".join(line for number, line in enumerate(lines) if number not in dropped)


def _check(text: str, path: Path, holds: Callable[[tuple[Entry, ...]], bool]) -> None:
    """Read what is about to be written: the file may be laid out in ways that were not thought of."""
    with contextlib.suppress(InvalidInput):
        if holds(parse_keys(text.encode(), str(path))):
            return
    raise InvalidInput(f"{path} is laid out in a way that cannot be changed here; change it by hand", field="FILE")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}; `setwise key new` makes it", field="FILE") from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}", field="FILE") from error


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While inside, nobody else changes a file of keys in this folder."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise NotFound(f"there is no folder {path.parent} to keep keys in; make it first", field="FILE") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write(path: Path, text: str) -> None:
    """Replaces the file at once: a server never reads half of it. Only its owner may read a new one."""
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise CollectionError(f"{path} cannot be written: {error.strerror}", field="FILE") from error
