"""What the transport is told: how much it takes before we see it, and when it gives a connection up."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterable, Mapping

from setwise_server._errors import LimitError
from setwise_server.settings import ServerSettings

__all__ = ["MAX_METADATA_BYTES", "RECEIVE_CEILING", "channel_arguments", "check_metadata", "joined", "raise_open_files"]

MAX_METADATA_BYTES = 8 * 1024
"""Of the metadata of one call, as HTTP/2 counts it: names, values and 32 bytes for each pair."""

RECEIVE_CEILING = 1.25
"""How far above max_message_bytes the transport itself draws the line. It refuses without details; what is only
somewhat too large is read, so that it can be refused with them."""

_CALLS_OF_A_CONNECTION = 1000  # at once; clients keep more back until some have ended
_OPEN_FILES = 65_536
_INT_MAX = 2**31 - 1
_MINUTE_MS = 60_000


def channel_arguments(settings: ServerSettings) -> list[tuple[str, int]]:
    """Arguments for `grpc.aio.server`.

    Sources: gRPC core, include/grpc/impl/channel_arg_names.h; gRPC proposal A8 (client keepalive), A9 (server).
    """
    return [
        ("grpc.max_receive_message_length", min(int(settings.limits.max_message_bytes * RECEIVE_CEILING), _INT_MAX)),
        ("grpc.max_send_message_length", -1),  # replies are measured by us
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),  # or what lies between is refused now and then
        ("grpc.max_concurrent_streams", _CALLS_OF_A_CONNECTION),
        ("grpc.max_allowed_incoming_connections", _most_connections()),
        ("grpc.so_reuseport", 0),  # or a second server would share the port in silence
        # A machine that is gone holds its stream for at most 80 s, a connection that never speaks 20 s, and one
        # without calls ten minutes: clients connect anew by themselves.
        ("grpc.keepalive_time_ms", _MINUTE_MS),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.server_handshake_timeout_ms", 20_000),
        ("grpc.max_connection_idle_ms", 10 * _MINUTE_MS),
        # Our client asks every 330 s; others more often, behind routers that forget. Faster than this is abuse.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]


def check_metadata(metadata: Mapping[str, str | bytes]) -> None:
    """Raises LimitError for more than MAX_METADATA_BYTES. The transport holds to that limit only with callers who have
    acknowledged it, and takes 16 MiB from those who never do; none of our calls waits with so much."""
    size = sum(len(name) + len(value) + 32 for name, value in metadata.items())
    if size > MAX_METADATA_BYTES:
        message = f"the metadata of the call has {size} bytes; this server takes at most {MAX_METADATA_BYTES}"
        raise LimitError(message, field="metadata", limit="max_metadata_bytes", allowed=MAX_METADATA_BYTES)


def joined(pairs: Iterable[tuple[str, str | bytes]]) -> dict[str, str | bytes]:
    """Metadata by name; values of one name are joined by commas, in their order.

    Source: gRPC over HTTP/2, "Custom-Metadata"; RFC 9110, section 5.3.
    """
    found: dict[str, str | bytes] = {}
    for name, value in pairs:
        before = found.get(name)
        if isinstance(before, str) and isinstance(value, str):
            found[name] = f"{before},{value}"
        elif isinstance(before, bytes) and isinstance(value, bytes):
            found[name] = before + b"," + value
        else:
            found[name] = value
    return found


def raise_open_files() -> None:
    """Lets this process open more files, as far as the system allows it: every connection takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _most_connections() -> int:
    """Half of the files that may be open: callers must not keep the collections from being opened."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (_OPEN_FILES if soft == resource.RLIM_INFINITY else max(16, min(soft, _OPEN_FILES))) // 2
