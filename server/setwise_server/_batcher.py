"""The forward passes of one network: shared by the calls that wait for one, and no more at once than the cores bear."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from setwise_engine.features import Extractor
from setwise_server._meters import Meters
from setwise_server._priority import give_way

__all__ = ["Batcher", "Extracted", "Lanes", "result_of"]

T = TypeVar("T")

SHARE = 4
"""Of so many passes, one goes first to images that are to be stored, when searches wait too."""

PAUSE_S = 0.02
"""How often one who waits for a pass looks whether its caller is still there."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """How forward passes are run: `count` at once, each on `threads` cores, None for as many as torch is set to, and
    with at most `images`. window: seconds that a pass which is not full waits for more."""

    count: int = 1
    threads: int | None = None
    images: int = 1
    window: float = 0.0


@dataclass(frozen=True, slots=True)
class Extracted:
    """tokens: (n, D) float32 of one image. seconds: its share of the pass. waited: seconds before the pass began."""

    tokens: NDArray[np.float32]
    seconds: float
    waited: float


@dataclass(slots=True, eq=False)
class _Wanted:
    pixels: NDArray[np.uint8]
    future: Future[Extracted] = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)


class Batcher:
    """Images go in one by one and are put into passes: whatever waits when a lane is free goes together, up to a limit.

    What an image comes to does not depend on the others of its pass (docs/decisions/0060, 0116). Thread-safe. Lanes are
    threads that end with this object.
    """

    def __init__(self, extractor: Extractor, lanes: Lanes, meters: Meters | None = None) -> None:
        self.lanes = lanes
        self._extractor = extractor
        self._meters = meters or Meters()
        self._pool = ThreadPoolExecutor(lanes.count, thread_name_prefix="setwise-network", initializer=give_way)
        self._lock = threading.Lock()
        self._more = threading.Condition(self._lock)
        self._asking: deque[_Wanted] = deque()
        self._storing: deque[_Wanted] = deque()
        self._open = 0  # lanes at work
        self._turn = 0
        self._usual = _usual_threads() if lanes.threads is not None else 0

    def submit(self, pixels: NDArray[np.uint8], *, storing: bool = False) -> Future[Extracted]:
        """Have an image, uint8 (side, side, 3), go through the network. storing: a search may go before it. The future
        raises what `Extractor.extract` raises; one that is cancelled before its pass is left out."""
        wanted = _Wanted(pixels)
        with self._lock:
            if self._open < self.lanes.count:
                self._pool.submit(self._work)  # first, as it raises where no more threads may be
                self._open += 1
            (self._storing if storing else self._asking).append(wanted)
            self._more.notify()
        return wanted.future

    def _work(self) -> None:
        """One lane: pass after pass while images wait."""
        while batch := self._take():
            self._pass(batch)

    def _take(self) -> list[_Wanted]:
        """The images of the next pass; empty when none wait, and then this lane is closed."""
        with self._lock:
            if self.lanes.window and self._waiting():
                self._more.wait_for(lambda: self._waiting() >= self.lanes.images, self.lanes.window)
            self._turn += 1
            batch: list[_Wanted] = []
            while len(batch) < self.lanes.images and (wanted := self._next()) is not None:
                batch.append(wanted)
            self._open -= not batch
            return batch

    def _waiting(self) -> int:
        return len(self._asking) + len(self._storing)

    def _next(self) -> _Wanted | None:
        """The next image whose caller did not leave."""
        first, second = self._asking, self._storing
        if self._turn % SHARE == 0:
            first, second = second, first
        while queue := first or second:
            wanted = queue.popleft()
            if wanted.future.set_running_or_notify_cancel():
                return wanted
        return None

    def _pass(self, batch: list[_Wanted]) -> None:
        started = time.perf_counter()
        try:
            with self._cores():
                tokens = self._extractor.extract(np.stack([wanted.pixels for wanted in batch]))
        except BaseException as error:
            for wanted in batch:
                wanted.future.set_exception(error)
            return
        seconds = time.perf_counter() - started
        self._meters.passed(len(batch), seconds)
        for wanted, some in zip(batch, tokens, strict=True):
            wanted.future.set_result(Extracted(some, seconds / len(batch), started - wanted.since))

    @contextmanager
    def _cores(self) -> Iterator[None]:
        """What torch may use in this thread. Threads to come begin with the same, so it is put back: those of a program
        that searches in its own process are not ours to slow down."""
        if self.lanes.threads is None:
            yield
            return
        import torch  # seconds of import, which whoever has a network of its kind has behind him

        torch.set_num_threads(self.lanes.threads)
        try:
            yield
        finally:
            torch.set_num_threads(self._usual)


def result_of(future: Future[T], check: Callable[[], None]) -> T:
    """The result of a future. Raises its exception, and what `check` raises while it waits."""
    while not wait([future], PAUSE_S).done:
        check()
    return future.result()


def _usual_threads() -> int:
    import torch

    return torch.get_num_threads()
