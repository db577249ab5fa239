"""An upsert: images sent over one stream, answered as they are safely stored, and sent again when the stream breaks.

Sending again does no harm: an image is stored under its id, and the same content twice is stored once. What was
answered is never sent again; what was not is sent again in its order, before anything new.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from setwise._errors import (
    CancelledError,
    ConflictError,
    DeadlineExceededError,
    InternalError,
    SetwiseError,
    UnavailableError,
)
from setwise._item import Prepared
from setwise._line import Line, StreamEnded
from setwise._reports import Failure, UpsertReport
from setwise._retry import Budget, Retries
from setwise._steps import SLACK
from setwise._tally import Tally, outcome_of
from setwise._transport import Transport
from setwise._values import Limits
from setwise_proto.v1 import images_pb2 as pb

__all__ = ["Upload"]

_CHUNK = 1 << 20
"""Bytes of images in one message, at most, where several are ready to be sent: small sets travel together."""
_WINDOW = 16 << 20
"""Bytes that may be unanswered when the server does not say."""

_TAG = 16
"""Bytes around one image in a message, at most."""

Outbox = queue.SimpleQueue[pb.ImageInput | None]


@dataclass(slots=True)
class _Sent:
    """An image to send or sent. again: whether a stream broke before it was answered."""

    number: int
    message: pb.ImageInput
    size: int
    again: bool = False


class _Broken(Exception):
    """The stream has failed; error: why."""

    def __init__(self, error: SetwiseError) -> None:
        super().__init__(str(error))
        self.error = error


class Upload:
    """One upsert; `run` it once. `cancel` may be called from any thread."""

    method = "/setwise.v1.ImageService/Upsert"

    def __init__(self, start: pb.UpsertStart, items: Iterator[Prepared], tally: Tally, limits: Limits) -> None:
        self._start, self._items, self._tally = start, items, tally
        self._chunk = min(_CHUNK, (limits.max_message_bytes or _CHUNK + SLACK) - SLACK)
        self._unsent: deque[_Sent] = deque()
        self._waiting: dict[int, _Sent] = {}
        self._bytes = 0
        self._cancelled = threading.Event()
        self._line: Line[pb.UpsertResponse] | None = None
        self._budget = Budget(None)
        # Of the present stream: images sent, bytes that may wait, until when to hold back, and the server's plans.
        self._count, self._window, self._resume, self._is_stopping = 0, 0, 0.0, False

    def cancel(self) -> None:
        """End it soon: `run` raises CancelledError."""
        self._cancelled.set()
        line = self._line
        if line is not None:
            line.cancel()

    def run(self, transport: Transport, budget: Budget, retries: Retries) -> UpsertReport:
        """Send everything and give the report. budget: how long the next answer may take.

        Raises what the items' own iterator raises, and SetwiseError when a stream failed and no retry is left, or when
        an image failed and that shall be raised.
        """
        attempt = 0
        budget.renew()
        while True:
            answered = self._tally.answered
            try:
                self._stream(transport, budget)
                return self._tally.upserts()
            except _Broken as broken:
                error = broken.error
            if self._cancelled.is_set():
                raise CancelledError("the upsert was cancelled")
            self._take_back()
            attempt = 0 if self._tally.answered > answered else attempt
            pause = retries.wait(error, attempt, budget.remaining())
            if pause is None:
                raise error
            attempt += 1
            self._cancelled.wait(pause)

    def _stream(self, transport: Transport, budget: Budget) -> None:
        """Send until nothing is left. Raises _Broken when the stream failed."""
        self._budget, self._count, self._window, self._resume, self._is_stopping = budget, 0, 0, 0.0, False
        outbox = Outbox()
        self._line = line = Line(transport, self.method, _requests(self._start, outbox, self._chunk), pb.UpsertResponse)
        try:
            while not self._window:
                self._wait(line)
            while (entry := self._next()) is not None:
                self._wait_for_room(line, entry)
                self._send(entry, outbox)
            outbox.put(None)
            while self._waiting:
                self._wait(line)
            line.finish()
        finally:
            outbox.put(None)
            line.close()

    def _next(self) -> _Sent | None:
        """The next image to send, which stays the next until it is sent; None at the end."""
        while not self._unsent:
            item = next(self._items, None) if self._tally.stop is None else None
            if self._cancelled.is_set():
                raise CancelledError("the upsert was cancelled")
            if item is None:
                return None
            if item.message is not None:
                self._unsent.append(_Sent(item.number, item.message, item.size))
            elif item.error is not None:
                self._tally.fail(Failure(item.number, item.id, item.error))
                self._tally.tell()
        return self._unsent[0]

    def _wait_for_room(self, line: Line[pb.UpsertResponse], entry: _Sent) -> None:
        """Until the window allows it (a single image always fits), the server's advice has passed and it reads on."""
        while self._take(line, 0.0):
            pass
        while True:
            if (rest := self._resume - time.monotonic()) > 0:
                self._take(line, rest)
            elif self._is_stopping or (self._waiting and self._bytes + entry.size > self._window):
                self._wait(line)
            else:
                return

    def _send(self, entry: _Sent, outbox: Outbox) -> None:
        if not self._waiting:
            self._budget.renew()
        self._unsent.popleft()
        self._waiting[self._count] = entry
        self._bytes += entry.size
        self._count += 1
        outbox.put(entry.message)

    def _wait(self, line: Line[pb.UpsertResponse]) -> None:
        """Take one answer."""
        if not self._take(line, self._budget.timeout()):
            raise _Broken(DeadlineExceededError("no image was answered in time; allow more time with timeout="))

    def _take(self, line: Line[pb.UpsertResponse], seconds: float | None) -> bool:
        """Whether an answer came within the time; None for no limit."""
        try:
            answer = line.receive(seconds)
        except StreamEnded:
            why = "is about to stop" if self._is_stopping else "ended the stream before every image was answered"
            reason = "NOT_READY" if self._is_stopping else ""
            raise _Broken(UnavailableError(f"the server {why}; send the rest again", reason=reason)) from None
        except SetwiseError as error:
            raise _Broken(error) from None
        if answer is None:
            return False
        self._budget.renew()
        match answer.WhichOneof("message"):
            case "started":
                self._window = answer.started.window_bytes or _WINDOW
                self._tally.version = max(self._tally.version, answer.started.collection_version)
            case "acks":
                self._answer(answer.acks)
            case "backoff":
                self._window = answer.backoff.window_bytes or self._window
                self._resume = time.monotonic() + max(answer.backoff.seconds, 0.0)
            case "shutting_down":
                self._is_stopping = True
        return True

    def _answer(self, acks: pb.UpsertAcks) -> None:
        """Raises _Broken when another process was writing all the while: nothing that waits is lost, and all of it is
        sent again in its order."""
        self._tally.version = max(self._tally.version, acks.collection_version)
        locked: dict[int, _Sent] = {}
        error: SetwiseError | None = None
        for result in acks.results:
            entry = self._waiting.pop(result.number, None)
            if entry is None:
                raise InternalError(f"the server answered image {result.number} of the stream, which was not waiting")
            self._bytes -= entry.size
            outcome = outcome_of(result)
            if isinstance(outcome, SetwiseError) and outcome.reason == "LOCKED":
                locked[result.number], error = entry, outcome
            elif isinstance(outcome, SetwiseError):
                self._tally.fail(Failure(entry.number, entry.message.id, _explained(outcome, entry)))
            else:
                self._tally.done(outcome, entry.size)
        self._tally.tell()
        if error is not None:
            self._waiting = dict(sorted((self._waiting | locked).items()))
            raise _Broken(error)

    def _take_back(self) -> None:
        for entry in reversed(self._waiting.values()):
            entry.again = True
            self._unsent.appendleft(entry)
        self._waiting.clear()
        self._bytes = 0


def _requests(start: pb.UpsertStart, outbox: Outbox, chunk: int) -> Iterator[pb.UpsertRequest]:
    """The messages of a stream: each holds what is ready to be sent when the transport asks for it."""
    yield pb.UpsertRequest(start=start)
    while (image := outbox.get()) is not None:
        several, size = [image], image.ByteSize()
        while not outbox.empty():
            image = outbox.get()
            if image is None:
                yield pb.UpsertRequest(data=pb.UpsertData(images=several))
                return
            if size + image.ByteSize() + _TAG > chunk:
                yield pb.UpsertRequest(data=pb.UpsertData(images=several))
                several, size = [], 0
            several.append(image)
            size += image.ByteSize() + _TAG
        yield pb.UpsertRequest(data=pb.UpsertData(images=several))


def _explained(error: SetwiseError, entry: _Sent) -> SetwiseError:
    """An insertion that was sent twice may have met itself, and nobody can tell: say so."""
    if error.code != "ALREADY_EXISTS" or not entry.again:
        return error
    what = f"{error.message}; it was sent again after the stream broke, so that the image there may be this very one"
    return ConflictError(what, code=error.code, reason=error.reason, field=error.field, details={"sent_again": "true"})
