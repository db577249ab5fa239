"""One Upsert stream: read, prepare, commit, acknowledge, each at its own pace."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from google.protobuf.message import Message

from setwise_engine.collection import Mode, Outcome, Written
from setwise_engine.errors import EngineError, InvalidInput
from setwise_proto.v1 import images_pb2 as pb
from setwise_server._call import Call, Emit
from setwise_server._registry import Entry
from setwise_server.ingest._budget import Budget
from setwise_server.ingest._committer import EACH_BYTES
from setwise_server.ingest._intake import Intake, Taken
from setwise_server.ingest._results import result_to_proto, split

__all__ = ["Shared", "UpsertStream"]

BATCH = 32
"""Images that are prepared together."""
ACKS = 1000
"""Results of one message: ids of 1000 characters fit."""
UNTOLD = 100_000
"""Results that may wait to be sent before no more is read."""
PAUSE_S = 0.05
BACKOFF_S = 0.5


@dataclass(frozen=True, slots=True)
class Shared:
    """What the streams of a server share. window: bytes that one of them may have sent and not yet answered."""

    intake: Intake
    budget: Budget
    window: int


@dataclass(frozen=True, slots=True)
class _Item:
    """An image that was received. size: bytes that it takes in memory, roughly."""

    number: int
    input: pb.ImageInput
    size: int


@dataclass(frozen=True, slots=True)
class _Done:
    """An image that is done with. version: that of the commit, 0 when there was none."""

    result: pb.ImageResult
    version: int = 0


class UpsertStream:
    """The handler's thread reads, a second one prepares and submits, a third one sends what is done.

    What was received is answered in any case, whether the stream ends by half-closing, by a fault of its caller or
    because the server is about to stop; only a caller who has gone is not, and what he sent is then stored or not, each
    image whole.
    """

    def __init__(self, entry: Entry, mode: Mode, shared: Shared, call: Call, emit: Emit) -> None:
        self._entry, self._mode, self._call, self._emit = entry, mode, call, emit
        self._intake, self._budget, self._window = shared.intake, shared.budget, shared.window
        self._committer = entry.writer
        self._inbox: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._no_more = False
        self._unanswered = 0  # bytes
        self._open = 0  # images that were not yet told what became of them
        self._outbox: SimpleQueue[_Done | None] = SimpleQueue()

    def run(self, requests: Iterator[pb.UpsertRequest]) -> None:
        """Answers all images of the requests that follow the start. Raises what the caller did wrong."""
        worker = threading.Thread(target=self._work, name="setwise-upsert")
        sender = threading.Thread(target=self._send, name="setwise-acks")
        try:
            worker.start()
            sender.start()  # raises where no more threads may be: then the worker must not wait for ever
            self._read(requests)
            if self._call.draining:
                self._emit(pb.UpsertResponse(shutting_down=pb.UpsertShuttingDown()))
        finally:
            with self._changed:
                self._no_more = True
                self._changed.notify_all()
            self._committer.hurry()
            if worker.ident is not None:
                worker.join()
            with self._changed:
                self._changed.wait_for(lambda: not self._open)
            self._outbox.put(None)
            if sender.ident is not None:
                sender.join()
        self._call.check()

    def _read(self, requests: Iterator[pb.UpsertRequest]) -> None:
        number = 0
        for request in requests:
            kind = request.WhichOneof("message")
            if kind != "data":
                raise InvalidInput("after its start a stream takes images only", field=kind or "data")
            items = [_Item(number + i, item, _size(item)) for i, item in enumerate(request.data.images)]
            number += len(items)
            size = sum(item.size for item in items)
            self._budget.take(size, self._call, self._advise)
            with self._changed:
                self._unanswered += size
                self._open += len(items)
                self._inbox.extend(items)
                self._changed.notify_all()
            while not self._room():
                self._call.check()

    def _room(self) -> bool:
        """Whether to read on; waits a moment for it. One who sends beyond his window, or does not read what is
        answered, must not take what others need."""
        if self._outbox.qsize() > UNTOLD:
            time.sleep(PAUSE_S)
            return False
        with self._changed:
            return self._changed.wait_for(lambda: self._unanswered <= self._window, PAUSE_S)

    def _advise(self) -> None:
        advice = pb.UpsertBackoff(seconds=BACKOFF_S, window_bytes=self._window // 2)
        self._emit(pb.UpsertResponse(backoff=advice))

    def _work(self) -> None:
        while batch := self._take():
            try:
                self._call.check()
                inputs = [item.input for item in batch]
                taken = self._intake.changes(self._entry, inputs, self._mode, self._call.check)
            except Exception as error:  # nobody is left to answer
                self._tell(batch, [error] * len(batch))
            else:
                self._submit(batch, taken)

    def _take(self) -> list[_Item]:
        """What has come, at most a batch; empty when no more will."""
        with self._changed:
            self._changed.wait_for(lambda: self._inbox or self._no_more)
            return [self._inbox.popleft() for _ in range(min(BATCH, len(self._inbox)))]

    def _submit(self, batch: Sequence[_Item], taken: Sequence[Taken]) -> None:
        changes, faults = split(taken)
        self._tell([batch[place] for place in faults], list(faults.values()))
        items = [batch[place] for place in changes]
        try:
            future = self._committer.submit(tuple(changes.values()), check=self._call.check, urgent=self._urgent())
        except EngineError as error:  # the collection was dropped
            self._tell(items, [error] * len(items))
        else:
            future.add_done_callback(lambda done: self._committed(done, items))

    def _urgent(self) -> bool:
        """Whether to wait for more would only hold the caller up: all that came is on its way, and no more comes or he
        may not send much more."""
        with self._changed:
            return not self._inbox and (self._no_more or self._unanswered >= self._window // 2)

    def _committed(self, future: Future[Written], items: Sequence[_Item]) -> None:
        error = future.exception()
        if error is None:
            self._tell(items, future.result().results, future.result().version)
        else:
            fault = error if isinstance(error, Exception) else EngineError(str(error))
            self._tell(items, [fault] * len(items))

    def _tell(self, items: Sequence[_Item], results: Sequence[Outcome | Exception], version: int = 0) -> None:
        """Say what became of images, of each once."""
        try:
            for item, result in zip(items, results, strict=True):
                self._outbox.put(_Done(result_to_proto(item.number, item.input.id, result), version))
        finally:
            size = sum(item.size for item in items)
            self._budget.give(size)
            with self._changed:
                self._unanswered -= size
                self._open -= len(items)
                self._changed.notify_all()

    def _send(self) -> None:
        while done := self._next():
            acks = pb.UpsertAcks(
                collection_version=max(each.version for each in done), results=[each.result for each in done]
            )
            self._try_emit(pb.UpsertResponse(acks=acks))

    def _next(self) -> list[_Done]:
        """Everything that is done and not yet told, waiting for at least one; empty at the end."""
        done: list[_Done] = []
        each = self._outbox.get()
        while each is not None:
            done.append(each)
            if len(done) == ACKS:
                break
            try:
                each = self._outbox.get_nowait()
            except Empty:
                break
        else:
            if done:
                self._outbox.put(None)
        return done

    def _try_emit(self, message: Message) -> None:
        """A caller who has gone, or whose time is up, is not told; what is on its way is finished all the same."""
        with contextlib.suppress(EngineError):
            self._emit(message)


def _size(item: pb.ImageInput) -> int:
    return EACH_BYTES + item.ByteSize()
