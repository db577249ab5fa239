"""How a request reaches a server and a reply comes back: the seam between the clients and everything below.

A transport raises `SetwiseError` and nothing else; it neither retries nor looks into messages. Pass one of your own as
`connect(..., transport=...)` to test without a network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Protocol, Self, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from setwise._errors import InternalError
from setwise._failures import translate
from setwise._request import REQUEST_ID_KEY, current_request_id
from setwise._target import is_loopback
from setwise._tracing import trace_headers
from setwise._wire import Wire

__all__ = [
    "AsyncGrpcTransport",
    "AsyncTransport",
    "GrpcTransport",
    "Stream",
    "ThreadTransport",
    "Transport",
    "channel_options",
]

Reply = TypeVar("Reply", bound=Message)


class Stream(Protocol):
    """The replies of a streaming call, as they come. Raises SetwiseError at the end when the call failed."""

    def __iter__(self) -> Iterator[Message]:
        """Itself."""
        ...

    def __next__(self) -> Message:
        """The next reply; waits for it."""
        ...

    def cancel(self) -> None:
        """End the call soon, from any thread."""
        ...


class Transport(Protocol):
    """Carries unary and streaming calls; blocking."""

    def call(self, method: str, request: Message, reply: type[Message], timeout: float | None) -> Message:
        """Send a request to "/package.Service/Method" and give the reply; timeout in seconds, None for no limit."""
        ...

    def stream(self, method: str, requests: Iterator[Message], reply: type[Message]) -> Stream:
        """Send requests, read from their iterator in another thread, and give the replies. A side that does not stream
        has one message. `requests` comes to an end soon after the stream did, or was cancelled."""
        ...

    def close(self) -> None:
        """Let go of everything; called once."""
        ...


class AsyncTransport(Protocol):
    """Carries unary calls as coroutines, and streaming calls in threads."""

    async def call(self, method: str, request: Message, reply: type[Message], timeout: float | None) -> Message:
        """As Transport.call."""
        ...

    def blocking(self) -> Transport:
        """A transport to the same server for streaming calls, which run in threads of their own. Closed by `close`."""
        ...

    async def close(self) -> None:
        """As Transport.close."""
        ...


def channel_options(address: str) -> list[tuple[str, int]]:
    """Options of a channel that is good for large messages and long idle times."""
    options = [
        # The server bounds what it takes and gives (GetServerInfo); requests are checked against it before they leave.
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        # Not more often than servers allow by default (5 minutes), or they would answer with GOAWAY: too_many_pings.
        ("grpc.keepalive_time_ms", 330_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 0),
        # Retries are the client's own: one policy, inside the caller's budget.
        ("grpc.enable_retries", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
    return [*options, ("grpc.enable_http_proxy", 0)] if is_loopback(address) else options


class GrpcTransport:
    """A server behind a blocking channel; connects with the first call."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        options = channel_options(wire.address)
        self._channel = (
            grpc.insecure_channel(wire.address, options)
            if wire.credentials is None
            else grpc.secure_channel(wire.address, wire.credentials, options)
        )

    def call(self, method: str, request: Message, reply: type[Message], timeout: float | None) -> Message:
        """As Transport.call."""
        invoke = self._channel.unary_unary(method, _serialize, reply.FromString)
        try:
            return _checked(invoke(request, timeout=timeout, metadata=_metadata(self._wire)), reply)
        except grpc.RpcError as error:
            raise translate(error, self._wire, timeout) from None

    def stream(self, method: str, requests: Iterator[Message], reply: type[Message]) -> Stream:
        """As Transport.stream."""
        invoke = self._channel.stream_stream(method, _serialize, reply.FromString)
        return _GrpcStream(invoke(requests, metadata=_metadata(self._wire)), self._wire, reply)

    def close(self) -> None:
        """As Transport.close."""
        self._channel.close()


class _GrpcStream:
    """The replies of a call of gRPC's. To its wire, a side that sends one message looks like one that streams."""

    def __init__(self, call: Any, wire: Wire, reply: type[Message]) -> None:
        self._call, self._wire, self._reply = call, wire, reply

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        try:
            return _checked(next(self._call), self._reply)
        except grpc.RpcError as error:
            raise translate(error, self._wire, None) from None

    def cancel(self) -> None:
        """As Stream.cancel."""
        self._call.cancel()


class AsyncGrpcTransport:
    """A server behind an asyncio channel, which is made by the first call because it belongs to that call's loop."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._channel: grpc.aio.Channel | None = None
        self._blocking: GrpcTransport | None = None

    async def call(self, method: str, request: Message, reply: type[Message], timeout: float | None) -> Message:
        """As Transport.call."""
        invoke = self._open().unary_unary(method, _serialize, reply.FromString)
        try:
            return _checked(await invoke(request, timeout=timeout, metadata=_metadata(self._wire)), reply)
        except grpc.RpcError as error:
            raise translate(error, self._wire, timeout) from None

    def blocking(self) -> Transport:
        """As AsyncTransport.blocking."""
        if self._blocking is None:
            self._blocking = GrpcTransport(self._wire)
        return self._blocking

    async def close(self) -> None:
        """As Transport.close."""
        if self._blocking is not None:
            self._blocking.close()
        if self._channel is not None:
            await self._channel.close()

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            wire, options = self._wire, channel_options(self._wire.address)
            self._channel = (
                grpc.aio.insecure_channel(wire.address, options)
                if wire.credentials is None
                else grpc.aio.secure_channel(wire.address, wire.credentials, options)
            )
        return self._channel


class ThreadTransport:
    """A blocking transport for asyncio: each call runs in a thread."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    async def call(self, method: str, request: Message, reply: type[Message], timeout: float | None) -> Message:
        """As Transport.call."""
        return await asyncio.to_thread(self._inner.call, method, request, reply, timeout)

    def blocking(self) -> Transport:
        """As AsyncTransport.blocking."""
        return self._inner

    async def close(self) -> None:
        """As Transport.close."""
        await asyncio.to_thread(self._inner.close)


def _metadata(wire: Wire) -> tuple[tuple[str, str], ...]:
    named = current_request_id()
    return (*wire.metadata(), *(((REQUEST_ID_KEY, named),) if named else ()), *trace_headers())


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def _checked(answer: object, reply: type[Reply]) -> Reply:
    if not isinstance(answer, reply):
        raise InternalError(f"gRPC gave a {type(answer).__name__} instead of a {reply.__name__}")
    return answer
