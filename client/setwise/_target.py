"""What a target names: the address of a server, or the directory of a collection."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path

from setwise._errors import InvalidArgumentError, NotFoundError

__all__ = ["is_loopback", "resolve"]

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[A-Za-z0-9_.-]+):\d{1,5}")
_SCHEMES = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "vsock:", "xds:")
"""Name resolvers of gRPC that may be written out."""


def resolve(target: str | os.PathLike[str]) -> str | Path:
    """An address as gRPC takes it, or the path of a directory that exists.

    Raises InvalidArgumentError or NotFoundError saying what a target looks like.
    """
    path = Path(target)
    text = str(target)
    if path.is_dir():
        return path
    if not isinstance(target, str):
        raise NotFoundError(f"no directory {text!r}; `setwise index FOLDER --into {text}` makes one", field="target")
    if _ADDRESS.fullmatch(text) or text.startswith(_SCHEMES):
        return text
    if text.startswith(("http://", "https://", "grpc://")):
        address = text.split("://", 1)[1].rstrip("/")
        raise InvalidArgumentError(f"target {text!r} is a URL; give host:port, as in {address!r}", field="target")
    if path.is_file():
        raise InvalidArgumentError(f"target {text!r} is a file; give a collection's directory", field="target")
    advice = "give host:port, such as 'localhost:50051', or the directory that `setwise index` made"
    raise NotFoundError(f"target {text!r} is neither a directory here nor an address; {advice}", field="target")


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own, which nobody else can listen in on and no proxy can reach."""
    scheme = next((scheme for scheme in _SCHEMES if address.startswith(scheme)), "")
    places = address.removeprefix(scheme)
    if scheme.startswith("unix"):
        return True
    if scheme in ("vsock:", "xds:") or (scheme == "dns:" and places.startswith("//") and not places.startswith("///")):
        return False  # others say where these lead
    several = places.removeprefix("///").split(",")
    return all(_is_own(place.rpartition(":")[0]) for place in several)


def _is_own(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
