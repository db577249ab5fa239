"""Just enough of HTTP/2 (RFC 9113) to misbehave: calls that are begun, half sent, never read, or cut off.

A real client library would mend, hold back or refuse most of this.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

__all__ = ["RawConnection", "headers"]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _CONTINUATION = 0x0, 0x1, 0x4, 0x9
_ACK, _END_STREAM, _END_HEADERS = 0x1, 0x1, 0x4
_FRAME = 16_384  # the largest that every peer takes

Pairs = Iterable[tuple[str, str]]


class RawConnection:
    """One TCP connection that speaks HTTP/2 as far as it is told to. It reads only when asked."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self._stream = -1

    def greet(self) -> Self:
        """What every client begins with."""
        self.socket.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b""))
        return self

    def acknowledge(self) -> None:
        """Says that the other side's settings hold, which it waits for before it holds us to them."""
        self.socket.sendall(_frame(_SETTINGS, _ACK, 0, b""))

    def frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Any frame (RFC 9113, section 6)."""
        self.socket.sendall(_frame(kind, flags, stream, payload))

    def begin(self, path: str, metadata: Pairs = ()) -> int:
        """The headers of a call; the number of its stream."""
        self._stream += 2
        pairs = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost")]
        pairs += [("te", "trailers"), ("content-type", "application/grpc"), *metadata]
        block = headers(pairs)
        pieces = [block[at : at + _FRAME] for at in range(0, len(block), _FRAME)]
        for number, piece in enumerate(pieces):
            flags = _END_HEADERS if number == len(pieces) - 1 else 0
            self.socket.sendall(_frame(_CONTINUATION if number else _HEADERS, flags, self._stream, piece))
        return self._stream

    def send(self, stream: int, message: bytes, said: int | None = None, *, end: bool = False) -> None:
        """A message of a call. said: the length that stands before it, when that is not the truth."""
        data = struct.pack(">BI", 0, len(message) if said is None else said) + message
        for at in range(0, len(data), _FRAME):
            last = at + _FRAME >= len(data)
            self.socket.sendall(_frame(_DATA, _END_STREAM if end and last else 0, stream, data[at : at + _FRAME]))

    def read(self, seconds: float, until: bytes = b"") -> bytes:
        """Whatever comes until the other side closes, until this has come, or for so many seconds."""
        deadline, found = time.monotonic() + seconds, b""
        while (left := deadline - time.monotonic()) > 0 and not (until and until in found):
            self.socket.settimeout(left)
            try:
                piece = self.socket.recv(65_536)
            except (TimeoutError, ConnectionError):
                break
            if not piece:
                break
            found += piece
        return found

    def cut(self) -> None:
        """Ends it as a crash or a pulled cable would: no farewell, what is under way is lost."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.socket.close()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def headers(pairs: Pairs) -> bytes:
    """A block of headers (HPACK)."""
    return b"".join(_literal(name) + _literal(value, b"") for name, value in pairs)


def _literal(text: str, prefix: bytes = b"\x00") -> bytes:
    """A string of HPACK (RFC 7541, 5.2 and 6.2.2), never put into the table."""
    data = text.encode("latin-1")
    length = len(data)
    if length < 127:
        return prefix + bytes([length]) + data
    head, length = bytearray([127]), length - 127
    while length >= 128:
        head.append(length % 128 + 128)
        length //= 128
    return prefix + bytes(head) + bytes([length]) + data
