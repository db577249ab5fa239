"""The pipeline: some threads read and decode, others run the network, the caller gets what comes out.

On a CPU every thread of the network computes alone (torch's own threads set to one), because two kinds of work share
the cores: torch's thread teams wait for one another at each layer, and a decoder that holds one core stops the whole
team (docs/decisions/0060-one-thread-a-forward-pass.md).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from setwise_engine.errors import EngineError
from setwise_engine.feature_set import FeatureSet
from setwise_indexer._channel import Channel, Stopped
from setwise_indexer._plan import Job
from setwise_indexer._read import why_unreadable
from setwise_indexer._readers import Prepared, Reader, Unchanged

__all__ = ["Crew", "Done", "Failed", "Result", "run_pipeline"]


@dataclass(frozen=True, slots=True)
class Crew:
    """Threads that decode, threads that run the network, and images in one forward pass."""

    decoders: int
    forwarders: int
    batch: int


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """An item and its features."""

    prepared: Prepared
    features: FeatureSet


@dataclass(frozen=True, slots=True)
class Failed:
    """An item that cannot be indexed, and why."""

    job: Job
    reason: str


Result = Done | Unchanged | Failed


def run_pipeline(jobs: Iterable[Job], reader: Reader, crew: Crew) -> Generator[Result]:
    """Yield one result a job, in the order in which they are ready.

    Memory is bounded: at most a few batches are in the air. Closing the iterator drops what is in the air and ends all
    threads. An error that is no single image's fault is raised here.
    """
    pipeline = _Pipeline(jobs, reader, crew)
    try:
        pipeline.start()
        yield from pipeline.results()
    finally:
        pipeline.stop()


class _Pipeline:
    def __init__(self, jobs: Iterable[Job], reader: Reader, crew: Crew) -> None:
        self._reader, self._crew = reader, crew
        self._jobs, self._feed = iter(jobs), threading.Lock()
        self._ready: Channel[Prepared] = Channel(crew.batch * (crew.forwarders + 1) + crew.decoders, crew.decoders)
        self._out: Channel[Result] = Channel(4 * crew.batch * crew.forwarders, crew.decoders + crew.forwarders)
        self._error: BaseException | None = None
        self._threads = [self._thread(self._decode) for _ in range(crew.decoders)]
        self._threads += [self._thread(self._forward) for _ in range(crew.forwarders)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def results(self) -> Iterator[Result]:
        try:
            while taken := self._out.take():
                yield from taken
        except Stopped:
            if self._error is None:
                raise
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        self._ready.stop()
        self._out.stop()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _thread(self, work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
                self._out.done()
            except Stopped:
                pass  # whoever stopped the channels knows why
            except BaseException as error:  # goes on in the caller's thread
                self._error = error
                self._ready.stop()
                self._out.stop()

        return threading.Thread(target=run, daemon=True)

    def _decode(self) -> None:
        while (job := self._next()) is not None:
            result = self._prepare(job)
            if isinstance(result, Prepared):
                self._ready.put(result)
            else:
                self._out.put(result)
        self._ready.done()

    def _next(self) -> Job | None:
        with self._feed:
            return next(self._jobs, None)

    def _prepare(self, job: Job) -> Prepared | Unchanged | Failed:
        try:
            return self._reader.prepare(job)
        except OSError as error:
            return Failed(job, why_unreadable(error))
        except EngineError as error:
            return Failed(job, str(error))
        except MemoryError:
            return Failed(job, "there is not enough memory to decode it; make it smaller, or use fewer --workers")

    def _forward(self) -> None:
        while batch := self._ready.take(self._crew.batch):
            for result in self._encode(batch):
                self._out.put(result)

    def _encode(self, batch: Sequence[Prepared]) -> list[Result]:
        try:
            sets = self._reader.encode(batch)
        except EngineError as error:
            if len(batch) == 1:
                return [Failed(batch[0].job, str(error))]
            return [result for one in batch for result in self._encode([one])]
        return [Done(prepared, features) for prepared, features in zip(batch, sets, strict=True)]
