"""The place of one call, from the door until its thread is done with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial
from typing import Any, Protocol, TypeVar

from setwise_engine.errors import CancelledError, DeadlineError, EngineError
from setwise_server._call import Call

__all__ = ["RECEIVE_S", "Owner", "Place"]

T = TypeVar("T")

RECEIVE_S = 60.0
"""Seconds that a request may take to arrive once its call has a place: 16 MiB at 2.3 Mbit/s. A caller who sends half a
message and then nothing, or a byte now and then, must not keep the place of one who means it."""


class Owner(Protocol):
    """Whose place it is."""

    def start(self, place: Place) -> None:
        """The place's work can run."""


class Place:
    """Taken before a request is read, so that a server which has no room does not read it. For the event loop's thread,
    but for `call` and `work`."""

    __slots__ = ("_answer", "_owner", "_receiving", "_refusal", "call", "caller", "loop", "started", "work")

    def __init__(self, owner: Owner, call: Call, caller: str) -> None:
        """Use Runner.place. started: whether a thread took it."""
        self.call = call
        self.caller = caller
        self.loop = asyncio.get_running_loop()
        self.started = False
        self.work: Callable[[], Any] = _nothing
        self._owner = owner
        self._answer: asyncio.Future[Any] | None = None
        self._receiving: asyncio.Timeout | None = None
        self._refusal: EngineError | None = None

    async def receive(self, message: Awaitable[T]) -> T:
        """The message, once it has come. Raises DeadlineError when that takes longer than RECEIVE_S, and as `run`."""
        try:
            async with asyncio.timeout(RECEIVE_S) as self._receiving:
                return await message
        except TimeoutError:
            if self._refusal is not None:
                raise self._refusal from None
            raise DeadlineError(f"the request did not arrive within {RECEIVE_S:.0f} s; send it faster") from None
        finally:
            self._receiving = None

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises, in a thread. Cancels the call when the caller goes.

        Raises the BusyError or NotReadyError of a call whose place was taken from it.
        """
        if self._refusal is not None:
            raise self._refusal
        self.work = partial(copy_context().run, work)  # or what it logs would not be known as this call's
        self._answer = self.loop.create_future()
        self._owner.start(self)
        try:
            return await self._answer  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            self.call.cancel()
            raise
        except CancelledError:
            if self._refusal is not None:
                raise self._refusal from None
            raise

    def take_away(self, error: EngineError) -> None:
        """The call ends with this error: at once while it waits, at its thread's next check when it runs."""
        self._refusal = error
        if self._receiving is not None:
            self._receiving.reschedule(self.loop.time())
        elif self.started:
            self.call.cancel()
        elif self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def answer(self, value: Any, error: BaseException | None) -> None:
        """What the thread came to."""
        self.work = _nothing  # the request may be large, and the reply is still to be sent
        if self._answer is None or self._answer.done():
            if error is not None:
                error.__traceback__ = None  # whose frames hold the error, this place and the request
            return
        if error is None:
            self._answer.set_result(value)
        else:
            self._answer.set_exception(error)


def _nothing() -> None:
    """The work of a place that has none, or had it done."""
