"""What carries out the plans of the blocking client: calls with retries, and streams."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self, TypeVar

import grpc
from google.protobuf.message import Message

from setwise._context import Context
from setwise._errors import ClosedError, SetwiseError
from setwise._local import LocalTransport
from setwise._manners import Pace, Turns, calls_at_once, streams_at_once
from setwise._options import check_timeout
from setwise._plan import Plans
from setwise._plan_admin import AdminPlans
from setwise._plan_writes import WritePlans
from setwise._request import numbered
from setwise._retry import Budget, Retries
from setwise._shared import Answer, Shared
from setwise._steps import Call, Steps, advance
from setwise._target import resolve
from setwise._tracing import client_span
from setwise._transport import GrpcTransport, Transport
from setwise._wire import PathLike, Security

__all__ = ["Driver", "Job"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Job(Protocol[T_co]):
    """A streaming call; method: "/package.Service/Method"."""

    @property
    def method(self) -> str:
        """Its path."""
        ...

    def run(self, transport: Transport, budget: Budget, retries: Retries) -> T_co:
        """Carry it out, once."""
        ...

    def cancel(self) -> None:
        """End it soon, from any thread; `run` raises CancelledError."""
        ...


class Driver:
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
        transport: Transport | None = None,
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
        self._learning = Shared()
        self._pace, self._calls, self._streams = Pace(), Turns(), Turns()
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

    def close(self) -> None:
        """Let go of the connection; later calls raise ClosedError. Closing twice is fine."""
        if not self._closed:
            self._closed = True
            self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<setwise.Client {self._target!r}{', closed' if self._closed else ''}>"

    def _run(self, steps: Steps[T], timeout: float | None) -> T:
        budget = self._budget(timeout)
        with numbered(), self._context.listening():
            step = advance(steps, None)
            while isinstance(step, Call):
                step = advance(steps, self._try(step, budget))
            return step.value

    def _stream(self, job: Job[T], timeout: float | None) -> T:
        if self._closed:
            raise self._closed_error()
        with numbered():
            limits, budget = self._context.known, self._budget(timeout)
            time.sleep(self._pace.wait(limits, budget))
            turn = self._streams.turn(streams_at_once(limits), budget)
            with turn, client_span(job.method, self._target):
                return job.run(self._transport, budget, self._retries)

    def _try(self, call: Call, budget: Budget) -> Answer:
        if call.shared:
            return self._learning.ask(lambda: self._attempts(call, budget), budget)
        if call.fresh:
            budget.renew()
        return self._attempts(call, budget)

    def _attempts(self, call: Call, budget: Budget) -> Answer:
        """The reply, or the error that is left after all retries."""
        attempt = 0
        with client_span(call.method, self._target) as span:
            while True:
                if self._closed:
                    return self._closed_error()
                try:
                    return self._send(call, budget)
                except SetwiseError as error:
                    pause = self._retries.wait(error, attempt, budget.remaining(), call.once)
                    span.failed(error, pause)
                    if pause is None:
                        return error
                attempt += 1
                time.sleep(pause)

    def _send(self, call: Call, budget: Budget) -> Message:
        limits = self._context.known
        if wait := self._pace.wait(limits, budget):
            time.sleep(wait)
        with self._calls.turn(calls_at_once(limits), budget):
            return self._transport.call(call.method, call.request, call.reply, budget.timeout())

    def _budget(self, timeout: float | None) -> Budget:
        return Budget(self._timeout if timeout is None else check_timeout(timeout))

    def _closed_error(self) -> ClosedError:
        return ClosedError(f"the client of {self._target} was closed; connect again")


def _open(target: PathLike, security: Security) -> Transport:
    where = resolve(target)
    return GrpcTransport(security.wire(where)) if isinstance(where, str) else LocalTransport(where)
