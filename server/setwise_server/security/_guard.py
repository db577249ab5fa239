"""Lets callers in, or refuses them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

from setwise_server._errors import ForbiddenError, UnauthenticatedError
from setwise_server.security._caller import ANONYMOUS, Caller
from setwise_server.security._keys import Entry, KnownCallers
from setwise_server.security._keys_file import read_keys
from setwise_server.security._policy import anonymous_access, check_policy
from setwise_server.security._rules import RULES
from setwise_server.security._watched import Watched
from setwise_server.settings import ServerSettings

__all__ = ["KEY_HEADER", "Guard"]

KEY_HEADER = "authorization"
"""Metadata key under which a caller sends `Bearer KEY`."""

_KEY_CHARACTERS = 256  # longer ones are not looked at
_LOOK_S = 1.0  # between looks at the file of keys
_HOW = f"send it as metadata `{KEY_HEADER}: Bearer KEY`, in the client as api_key="


class Guard:
    """Knows the keys and certificates of those who may ask. For the event loop's thread."""

    def __init__(self, settings: ServerSettings) -> None:
        """Raises InvalidInput or NotFound for settings or a file of keys that cannot be used, and when nobody could be
        let in."""
        path = settings.security.keys
        self._known = None if path is None else Watched([path], lambda: read_keys(path))
        self._next_look = 0.0
        self._anonymous = Caller(ANONYMOUS.name, anonymous_access(settings))
        check_policy(settings, self._anonymous.access, self._callers().entries)

    def identify(self, metadata: Mapping[str, str | bytes], auth_context: Mapping[str, Iterable[bytes]]) -> Caller:
        """Who calls: the owner of the key, else of the certificate, else anonymous.

        metadata: of the call, keys in lower case. auth_context: of the connection, as gRPC gives it.
        Raises UnauthenticatedError for a key that is not known.
        """
        known = self._callers()
        header = metadata.get(KEY_HEADER)
        entry = _by_certificate(known, auth_context) if header is None else _by_key(known, header)
        if entry is None:
            return self._anonymous
        return replace(entry.caller, expired=entry.expires) if entry.expired() else entry.caller

    def check(self, caller: Caller, method: str) -> None:
        """Raises UnauthenticatedError for one without a key or whose key expired, ForbiddenError for any other who may
        not call this."""
        if caller.expired is not None:
            raise UnauthenticatedError(
                f'"{caller.name}" expired on {caller.expired}; ask the server\'s owner for a new key or entry',
                field=KEY_HEADER,
            )
        needed = RULES.get(method)
        if needed is not None and caller.access >= needed:
            return
        rpc = method.rpartition("/")[2]
        if needed is None:
            raise ForbiddenError(f"{rpc} is closed: the server has no rule that says who may call it")
        scope = needed.name.lower()
        if caller.name == ANONYMOUS.name:
            raise UnauthenticatedError(f"{rpc} needs a key with scope {scope}; {_HOW}", field=KEY_HEADER)
        raise ForbiddenError(
            f'{rpc} needs scope {scope}, and "{caller.name}" has {caller.access.name.lower()}; use another key',
            field=KEY_HEADER,
        )

    def _callers(self) -> KnownCallers:
        if self._known is None:
            return _NOBODY
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_S
            self._known.refresh()
        return self._known.value


_NOBODY = KnownCallers(())


def _by_key(known: KnownCallers, header: str | bytes) -> Entry:
    scheme, _, key = (header if isinstance(header, str) else "").partition(" ")
    key = key.strip()
    if "," in key:  # how entries of one name are joined: whoever stands in front may have looked at another of them
        raise UnauthenticatedError("the call brings more than one key; send one", field=KEY_HEADER)
    if scheme.lower() != "bearer" or not key:
        raise UnauthenticatedError(f"the key is not where it is looked for; {_HOW}", field=KEY_HEADER)
    entry = known.by_key(key) if len(key) <= _KEY_CHARACTERS else None
    if entry is None:
        raise UnauthenticatedError(
            "this key is not known here; see that it was copied whole, was made for this server and was not revoked",
            field=KEY_HEADER,
        )
    return entry


def _by_certificate(known: KnownCallers, auth_context: Mapping[str, Iterable[bytes]]) -> Entry | None:
    subject = next(iter(_texts(auth_context.get("x509_subject", ()))), "")
    alternatives = _texts(auth_context.get("x509_subject_alternative_name", ()))
    return known.by_certificate(subject, alternatives) if subject or alternatives else None


def _texts(values: Iterable[bytes]) -> list[str]:
    return [value.decode("utf-8", "replace") for value in values]
