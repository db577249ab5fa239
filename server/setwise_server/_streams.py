"""One streaming call between the event loop and the thread of its handler."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import grpc.aio
from google.protobuf.message import Message

from setwise_engine.errors import CancelledError
from setwise_server._asked import asked
from setwise_server._call import Call
from setwise_server._errors import LimitError, ReplyTooLargeError

__all__ = ["Stream", "check_reply", "check_request"]

T = TypeVar("T")
Parse = Callable[[bytes], Message]

GONE_S = 0.02
"""A caller who vanishes looks for a moment as if it had half-closed: as long is waited to tell the two apart."""


class Stream:
    """What a handler reads from and writes to. Made on the event loop; `requests` and `emit` are for other threads.

    Messages are read from the wire only when the handler asks for them, so that a caller who sends faster than they are
    worked on is held back by the transport.
    """

    def __init__(
        self, context: grpc.aio.ServicerContext[bytes, bytes], call: Call, parse: Parse, max_bytes: int
    ) -> None:
        """max_bytes: of a request or reply message."""
        self._context = context
        self._call = call
        self._parse = parse
        self._max_bytes = max_bytes
        self._loop = asyncio.get_running_loop()
        self._drained = self._loop.create_future()
        self._writing = threading.Lock()

    def drain(self) -> None:
        """End the requests: the server is about to stop. For the event loop's thread."""
        self._call.draining = True
        if not self._drained.done():
            self._drained.set_result(None)

    def requests(self) -> Iterator[Message]:
        """The messages as they come; see Requests."""
        while (data := self._await(self._read())) is not None:
            self._call.check()
            check_request(data, self._max_bytes)
            message = self._parse(data)
            if not self._call.record.asked:  # the first message says what the stream is about
                self._call.record.asked = asked(message)
            yield message
        self._call.check()

    def emit(self, message: Message) -> None:
        """Send one message; see Emit."""
        data = check_reply(message, self._max_bytes)
        with self._writing:  # gRPC takes one at a time
            self._call.check()
            self._await(self._write(data))

    def _await(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
        except concurrent.futures.CancelledError as error:
            raise CancelledError("the caller cancelled the call") from error

    async def _read(self) -> bytes | None:
        """The next message; None when there are no more. What comes while the server drains is left unread: it was not
        acknowledged, so its sender will send it again."""
        if self._call.draining:
            return None
        read = asyncio.ensure_future(self._context.read())
        await asyncio.wait((read, self._drained), return_when=asyncio.FIRST_COMPLETED)
        if not read.done():
            read.add_done_callback(_forget)
            return None
        data = _result(read)
        if isinstance(data, bytes):
            return data
        await asyncio.sleep(GONE_S)
        if self._context.cancelled():
            self._call.cancel()
        return None

    async def _write(self, data: bytes) -> None:
        try:
            await self._context.write(data)
        except Exception as error:  # grpc.aio has no one exception for a call that has ended
            self._call.cancel()
            raise CancelledError("the caller has gone") from error


def check_request(data: bytes, most: int) -> None:
    """Raises LimitError for a request of more than `most` bytes. (The transport's own limit is a little higher: what it
    refuses it refuses without details.)"""
    if len(data) > most:
        message = f"the message has {len(data)} bytes; this server takes at most {most}"
        raise LimitError(message, field="request", limit="max_message_bytes", allowed=most)


def check_reply(message: Message, most: int) -> bytes:
    """The bytes of a reply. Raises ReplyTooLargeError beyond `most`."""
    data = message.SerializeToString()
    if len(data) > most:
        raise ReplyTooLargeError(
            f"the answer has {len(data)} bytes, more than the {most} of one message; "
            "ask for fewer images, or without thumbnails, matches or features"
        )
    return data


def _result(read: asyncio.Future[Any]) -> Any:
    """What was read; None in place of whatever grpc.aio raises for a call that has ended."""
    return None if read.cancelled() or read.exception() is not None else read.result()


def _forget(read: asyncio.Future[Any]) -> None:
    _result(read)
