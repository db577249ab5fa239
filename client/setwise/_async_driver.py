"""What carries out the plans of the asyncio client: calls as coroutines, streams in threads of their own."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from types import TracebackType
from typing import Self, TypeVar

import grpc
from google.protobuf.message import Message

from setwise._context import Context
from setwise._driver import Job
from setwise._errors import ClosedError, SetwiseError
from setwise._local import LocalTransport
from setwise._manners import AsyncTurns, Pace, calls_at_once, streams_at_once
from setwise._options import check_timeout
from setwise._plan import Plans
from setwise._plan_admin import AdminPlans
from setwise._plan_writes import WritePlans
from setwise._request import numbered
from setwise._retry import Budget, Retries
from setwise._shared import Answer, AsyncShared
from setwise._steps import Call, Steps, advance
from setwise._target import resolve
from setwise._tracing import client_span
from setwise._transport import AsyncGrpcTransport, AsyncTransport, ThreadTransport
from setwise._wire import PathLike, Security

__all__ = ["AsyncDriver"]

T = TypeVar("T")


class AsyncDriver:
    """A connection, and how plans are carried out over it."""

    def __init__(
        self,
        target: PathLike,
        *,
        collection: str | None = None,
        timeout: float | None = 30.0,
        retries: int = 4,
        api_key: str | None = None,
        tls: bool | None = None,
        ca: PathLike | None = None,
        certificate: PathLike | None = None,
        key: PathLike | None = None,
        insecure_api_key: bool = False,
        credentials: grpc.ChannelCredentials | None = None,
        transport: AsyncTransport | None = None,
    ) -> None:
        self._target = str(target)
        self._timeout = check_timeout(timeout)
        self._retries = Retries(retries)
        self._context = Context(collection)
        self._plans, self._writes, self._admin = (
            Plans(self._context),
            WritePlans(self._context),
            AdminPlans(self._context),
        )
        self._closed = False
        self._learning = AsyncShared()
        self._pace, self._calls, self._streams = Pace(), AsyncTurns(), AsyncTurns()
        self._transport = transport or _open(
            target,
            Security(
                api_key=api_key,
                tls=tls,
                ca=ca,
                certificate=certificate,
                key=key,
                insecure_api_key=insecure_api_key,
                credentials=credentials,
            ),
        )

    async def close(self) -> None:
        """Let go of the connection; later calls raise ClosedError. Closing twice is fine."""
        if not self._closed:
            self._closed = True
            await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<setwise.AsyncClient {self._target!r}{', closed' if self._closed else ''}>"

    async def _run(self, steps: Steps[T], timeout: float | None) -> T:
        budget = self._budget(timeout)
        with numbered(), self._context.listening():
            step = await asyncio.to_thread(advance, steps, None)
            while isinstance(step, Call):
                step = await asyncio.to_thread(advance, steps, await self._try(step, budget))
            return step.value

    async def _stream(self, job: Job[T], timeout: float | None) -> T:
        if self._closed:
            raise self._closed_error()
        limits, budget = self._context.known, self._budget(timeout)
        await asyncio.sleep(self._pace.wait(limits, budget))
        async with self._streams.turn(streams_at_once(limits), budget):
            return await self._work(job, budget)

    async def _work(self, job: Job[T], budget: Budget) -> T:
        """Carry out a job in a thread of its own: the loop's pool of threads could be full of such waiters."""
        transport = self._transport.blocking()
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        outcome: list[T | BaseException] = []

        def work() -> None:
            try:
                with numbered(), client_span(job.method, self._target):
                    outcome.append(job.run(transport, budget, self._retries))
            except BaseException as error:
                outcome.append(error)
            loop.call_soon_threadsafe(done.set)

        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(work,), name="setwise-job", daemon=True).start()
        try:
            await done.wait()
        except asyncio.CancelledError:
            job.cancel()
            await done.wait()
            raise
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    async def _try(self, call: Call, budget: Budget) -> Answer:
        if call.shared:
            return await self._learning.ask(lambda: self._attempts(call, budget), budget)
        if call.fresh:
            budget.renew()
        return await self._attempts(call, budget)

    async def _attempts(self, call: Call, budget: Budget) -> Answer:
        """The reply, or the error that is left after all retries."""
        attempt = 0
        with client_span(call.method, self._target) as span:
            while True:
                if self._closed:
                    return self._closed_error()
                try:
                    return await self._send(call, budget)
                except SetwiseError as error:
                    pause = self._retries.wait(error, attempt, budget.remaining(), call.once)
                    span.failed(error, pause)
                    if pause is None:
                        return error
                attempt += 1
                await asyncio.sleep(pause)

    async def _send(self, call: Call, budget: Budget) -> Message:
        limits = self._context.known
        if wait := self._pace.wait(limits, budget):
            await asyncio.sleep(wait)
        async with self._calls.turn(calls_at_once(limits), budget):
            return await self._transport.call(call.method, call.request, call.reply, budget.timeout())

    def _budget(self, timeout: float | None) -> Budget:
        return Budget(self._timeout if timeout is None else check_timeout(timeout))

    def _closed_error(self) -> ClosedError:
        return ClosedError(f"the client of {self._target} was closed; connect again")


def _open(target: PathLike, security: Security) -> AsyncTransport:
    where = resolve(target)
    return (
        AsyncGrpcTransport(security.wire(where)) if isinstance(where, str) else ThreadTransport(LocalTransport(where))
    )
