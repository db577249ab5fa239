"""Whether an address can be listened on, said in a sentence: gRPC itself only says "failed to bind"."""

from __future__ import annotations

import errno
import socket

from setwise_server._errors import PortError
from setwise_server.settings import address

__all__ = ["check_port"]


def check_port(host: str, port: int) -> None:
    """Raise PortError when another program listens there, or this one may not, or there is no such host."""
    try:
        targets = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise PortError(f'--host "{host}" is no address of this machine: {error.strerror}', field="--host") from error
    failures = [failure for target in targets if (failure := _bind(target)) is not None]
    for failure in failures:
        if failure.errno == errno.EADDRINUSE:
            raise PortError(
                f"{address(host, port)} is in use by another program; choose another with --port, "
                "or --port 0 for any free one",
                field="--port",
            ) from failure
    if len(failures) == len(targets):
        raise PortError(f"cannot listen on {address(host, port)}: {failures[0].strerror}", field="--port")


def _bind(target: tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[object, ...]]) -> OSError | None:
    family, kind, protocol, _, where = target
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        return error
    return None
