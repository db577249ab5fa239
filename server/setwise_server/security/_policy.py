"""What the settings come to: what callers without a key may, and whether a server may start that way."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import stat
from collections.abc import Sequence

from setwise_engine.errors import InvalidInput
from setwise_server.security._caller import Access
from setwise_server.security._keys import Entry
from setwise_server.settings import Security, ServerSettings

__all__ = ["anonymous_access", "check_policy", "on_loopback"]

log = logging.getLogger("setwise.security")


def on_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there. Names other than localhost count as outside."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def anonymous_access(settings: ServerSettings) -> Access:
    """What callers without a key or a known certificate may."""
    security = settings.security
    if security.anonymous is None:
        open_house = on_loopback(settings.host) and security.keys is None and security.client_ca is None
        return Access.ADMIN if open_house else Access.NONE
    return Access[security.anonymous.upper()]


def check_policy(settings: ServerSettings, anonymous: Access, entries: Sequence[Entry]) -> None:
    """Raises InvalidInput when nobody could be let in; logs what an operator may not have meant.

    entries: keys and certificates that are known.
    """
    security = settings.security
    if anonymous is Access.NONE and not entries:
        raise InvalidInput(
            f"nobody could be let in on {settings.host}: no key or certificate is known, and callers without one "
            "are refused; make a key with `setwise key new FILE NAME` and start with --keys FILE, or say what callers "
            "without one may: --anonymous read, write or admin",
            field="--keys",
        )
    _warn_of_keys(security, entries)
    if on_loopback(settings.host):
        return
    where = settings.address if settings.port else settings.host
    if anonymous is not Access.NONE:
        log.warning("whoever reaches %s may %s without a key", where, anonymous.name.lower())
    if security.tls_cert is None:
        what = "keys and pictures" if entries else "pictures"
        log.warning("%s is served without TLS: %s cross the network in clear text", where, what)


def _warn_of_keys(security: Security, entries: Sequence[Entry]) -> None:
    if security.client_ca is None and any(not entry.sha256 for entry in entries):
        log.warning("%s names certificates, and without --client-ca callers are not asked for any", security.keys)
    if security.keys is not None:
        with contextlib.suppress(OSError):
            if security.keys.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                log.warning("%s can be written by other users, who could let themselves in; chmod 600", security.keys)
