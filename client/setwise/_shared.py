"""A question that many have at the same time is asked once: the limits of a server, when a thousand calls begin."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeGuard

from google.protobuf.message import Message

from setwise._errors import DeadlineExceededError, SetwiseError
from setwise._retry import Budget

__all__ = ["Answer", "AsyncShared", "Shared"]

Answer: TypeAlias = Message | SetwiseError
"""A reply, or why there is none."""


class Shared:
    """The first asks, and the others wait for what it gets. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: concurrent.futures.Future[Answer | None] | None = None

    def ask(self, question: Callable[[], Answer], budget: Budget) -> Answer:
        """The answer to the question that is being asked, or to this one. Who asked with less time, or broke off, asked
        in vain, and the next one asks."""
        while True:
            mine = concurrent.futures.Future[Answer | None]()
            with self._lock:
                asked = self._asked
                self._asked = asked or mine
            if asked is None:
                return self._ask(question, mine)
            try:
                answer = asked.result(budget.timeout())
            except TimeoutError:
                return _too_late()
            if _counts(answer):
                return answer

    def _ask(self, question: Callable[[], Answer], mine: concurrent.futures.Future[Answer | None]) -> Answer:
        answer: Answer | None = None
        try:
            answer = question()
            return answer
        finally:
            with self._lock:
                self._asked = None
            mine.set_result(answer)


class AsyncShared:
    """The same for one event loop."""

    def __init__(self) -> None:
        self._asked: asyncio.Future[Answer | None] | None = None

    async def ask(self, question: Callable[[], Awaitable[Answer]], budget: Budget) -> Answer:
        """As Shared.ask."""
        while self._asked is not None:
            try:
                answer = await asyncio.wait_for(asyncio.shield(self._asked), budget.timeout())
            except TimeoutError:
                return _too_late()
            if _counts(answer):
                return answer
        mine = self._asked = asyncio.get_running_loop().create_future()
        given: Answer | None = None
        try:
            given = await question()
            return given
        finally:
            self._asked = None
            mine.set_result(given)


def _counts(answer: Answer | None) -> TypeGuard[Answer]:
    return answer is not None and not isinstance(answer, DeadlineExceededError)


def _too_late() -> DeadlineExceededError:
    return DeadlineExceededError("the server has not told its limits in time; allow more time with timeout=")
