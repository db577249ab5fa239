"""Streams without a wire: the handler in a thread of its own, its replies through a short queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from setwise_server._call import Call, Emit
from setwise_server._status import status_of
from setwise_server.handlers import Method

__all__ = ["local_stream"]

Answer = tuple[Status, Message | None]

AHEAD = 4
"""Replies that may wait to be taken before the handler is held back."""


def local_stream(
    method: Method, requests: Iterable[Message], call: Call, request_id: str | None = None
) -> Iterator[Answer]:
    """The replies, each with a status of code 0, and at last how the stream ended, with None.

    `requests` is read in another thread, when the handler asks. Closing the iterator early cancels `call`; the
    requests must then end, as they must in any case: the handler is waited for.
    """
    replies: queue.Queue[Answer] = queue.Queue(AHEAD)
    left = threading.Event()
    answer = partial(method.handle, _checked(requests, call), call)
    thread = threading.Thread(target=_handle, args=(answer, call, replies, left, request_id), name="setwise-stream")
    thread.start()
    try:
        while True:
            status, message = replies.get()
            yield status, message
            if message is None:
                return
    finally:
        left.set()
        call.cancel()  # unblocks a handler whose replies nobody takes any more
        thread.join()


def _handle(
    answer: Callable[[Emit], None],
    call: Call,
    replies: queue.Queue[Answer],
    left: threading.Event,
    request_id: str | None,
) -> None:
    def emit(message: Message) -> None:
        call.check()
        while not _offer(replies, (Status(), message)):
            call.check()

    status = Status()
    try:
        answer(emit)
    except Exception as error:  # as on the wire: whatever it is, the caller gets a status
        status = status_of(error, request_id)
    while not left.is_set() and not _offer(replies, (status, None)):
        pass


def _checked(requests: Iterable[Message], call: Call) -> Iterator[Message]:
    for request in requests:
        call.check()
        yield request
    call.check()


def _offer(replies: queue.Queue[Answer], answer: Answer) -> bool:
    """Whether there was room for the answer within a moment."""
    try:
        replies.put(answer, timeout=0.05)
    except queue.Full:
        return False
    return True
