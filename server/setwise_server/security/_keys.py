"""Keys and certificates, and who they belong to."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, date, datetime

from setwise_server.security._caller import Caller

__all__ = ["KEY_PREFIX", "Entry", "KnownCallers", "new_key", "sha256"]

KEY_PREFIX = "setwise_"  # lets people and scanners of secrets tell what leaked
_BYTES = 32


def new_key() -> str:
    """A new key: 256 random bits, so that its plain SHA-256 cannot be guessed back and needs no slow hash."""
    return KEY_PREFIX + secrets.token_urlsafe(_BYTES)


def sha256(key: str) -> str:
    """What is kept of a key: 64 hexadecimal digits."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """One key or certificate. sha256 is empty for certificates; subject and alternative_name are for keys, and one of
    them for certificates."""

    caller: Caller
    sha256: str = ""
    subject: str = ""
    alternative_name: str = ""
    expires: date | None = None

    def expired(self) -> bool:
        """Whether its last day is over, in UTC."""
        return self.expires is not None and datetime.now(UTC).date() > self.expires


class KnownCallers:
    """Finds who a key or a certificate belongs to."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        # Keys are looked up under a hash that only this process knows: how long that takes tells nothing of the keys.
        self._secret = secrets.token_bytes(_BYTES)
        self._keys = {self._blind(entry.sha256): entry for entry in entries if entry.sha256}
        self._subjects = {entry.subject: entry for entry in entries if entry.subject}
        self._alternatives = {entry.alternative_name: entry for entry in entries if entry.alternative_name}

    def by_key(self, key: str) -> Entry | None:
        """The entry of a key, in a time that does not depend on how near it is to a known one."""
        digest = sha256(key)
        entry = self._keys.get(self._blind(digest))
        return entry if entry is not None and hmac.compare_digest(entry.sha256, digest) else None

    def by_certificate(self, subject: str, alternative_names: list[str]) -> Entry | None:
        """The entry of a verified certificate: that of its subject before that of one of its alternative names."""
        found = (self._alternatives.get(name) for name in alternative_names)
        return self._subjects.get(subject) or next((entry for entry in found if entry is not None), None)

    def _blind(self, digest: str) -> bytes:
        return hashlib.blake2b(digest.encode(), key=self._secret, digest_size=_BYTES).digest()
