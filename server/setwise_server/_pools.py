"""The threads of a server: those that compute, those that wait, and those of streams."""

from __future__ import annotations

import asyncio
import math

from setwise_server._runner import Runner
from setwise_server.handlers import Kind
from setwise_server.settings import ServerSettings

__all__ = ["Pools"]


class Pools:
    """One Runner for each kind of rpc, so that none takes the places of another: a call that waits for the disk must
    not hold up a search. All methods belong to the event loop's thread."""

    def __init__(self, settings: ServerSettings) -> None:
        queue = settings.max_queue
        self._runners = {
            Kind.UNARY: Runner(settings.workers, queue, option="--workers, --max-queue"),
            Kind.WAITING: Runner(settings.max_writes, queue, "setwise-write", "--max-writes, --max-queue"),
            Kind.STREAM: Runner(settings.max_streams, 0, "setwise-stream", "--max-streams", "max_streams"),
        }

    def of(self, kind: Kind) -> Runner:
        """The runner of an rpc of that kind."""
        return self._runners[kind]

    async def drain(self, grace: float) -> bool:
        """Wait for the running calls, at most `grace` seconds; whether all of them ended. Those that did not are told
        to end, and those that still wait are refused."""
        return all(await asyncio.gather(*(runner.drain(grace) for runner in self._runners.values())))

    async def close(self, patience: float = math.inf) -> bool:
        """Drop what waits and wait for what runs, at most so many seconds; whether all of it ended."""
        return all(await asyncio.gather(*(runner.close(patience) for runner in self._runners.values())))
