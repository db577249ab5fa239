"""One streaming call: requests through one queue, replies through another, both with a thread of their own."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Generic, TypeVar

from google.protobuf.message import Message

from setwise._errors import DeadlineExceededError, InternalError, SetwiseError
from setwise._transport import Transport

__all__ = ["Line", "StreamEnded"]

Reply = TypeVar("Reply", bound=Message)

_AHEAD = 8
"""Replies read before they are asked for: a snapshot must not pile up in memory when the disk is slower."""
_PATIENCE = 2.0
"""Seconds that a server may take to end a stream of which everything was received."""


class StreamEnded(Exception):
    """The server has ended the stream, and all went well."""


class Line(Generic[Reply]):
    """An open call. The thread that made it receives; `cancel` may be called from any. Close it when done."""

    def __init__(self, transport: Transport, method: str, requests: Iterator[Message], reply: type[Reply]) -> None:
        self._stream = transport.stream(method, requests, reply)
        self._reply = reply
        self._inbox: queue.Queue[Reply | SetwiseError | None] = queue.Queue(_AHEAD)
        self._closed = threading.Event()
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._read,), name="setwise-stream", daemon=True)
        self._thread.start()

    def receive(self, seconds: float | None) -> Reply | None:
        """The next reply, or None when none came within the time; without a time it waits for one.

        Raises StreamEnded after the last reply, and SetwiseError when the call failed.
        """
        try:
            answer = self._inbox.get(timeout=seconds) if seconds is None or seconds > 0 else self._inbox.get_nowait()
        except queue.Empty:
            return None
        if answer is None:
            raise StreamEnded
        if isinstance(answer, SetwiseError):
            raise answer
        return answer

    def expect(self, seconds: float | None) -> Reply:
        """The next reply. Raises DeadlineExceededError when none came within the time, and as `receive` does."""
        answer = self.receive(seconds)
        if answer is None:
            raise DeadlineExceededError(f"no answer within {seconds or 0:.3g} s; allow more time with timeout=")
        return answer

    def finish(self) -> None:
        """Let the call end by itself, when everything was received: a server need not tell that it was cut off."""
        with suppress(StreamEnded, SetwiseError):
            while self.receive(_PATIENCE) is not None:
                pass

    def cancel(self) -> None:
        """End the call: the receiver gets a CancelledError."""
        self._stream.cancel()

    def close(self) -> None:
        """Let go of the call, ended or not."""
        self._closed.set()
        self._stream.cancel()

    def _read(self) -> None:
        try:
            for answer in self._stream:
                if not isinstance(answer, self._reply):
                    raise InternalError(f"the transport answered with a {type(answer).__name__}")
                self._put(answer)
            self._put(None)
        except SetwiseError as error:
            self._put(error)
        except Exception as error:
            self._put(InternalError(f"reading the stream failed: {error!r}"))

    def _put(self, answer: Reply | SetwiseError | None) -> None:
        """Hand it over while anybody is there to receive it; a closed stream is read to its near end all the same."""
        while not self._closed.is_set():
            try:
                self._inbox.put(answer, timeout=0.1)
                return
            except queue.Full:
                continue
