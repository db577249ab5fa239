"""The clients of a load test, in a process of their own: many connections on one event loop, no SDK, little work.

Reads one JSON line (see `Plan`) on stdin, connects, says so, waits for another line, and calls. Writes what became of
every call, as an array of `CALL`, and the processor seconds that it took.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
from _load_mix import Asked, Mix, Requests, pictures

from setwise_proto.v1 import types_pb2 as pb

__all__ = ["CALL", "NOT_SENT", "Plan"]

CALL = np.dtype([("operation", "u1"), ("code", "i2"), ("at", "f8"), ("seconds", "f8")])
"""at: when the call was due, in seconds since the start. seconds: from then to its end. code: of gRPC, or NOT_SENT."""

NOT_SENT = -1
"""So many calls were open in this process already that another would have measured the process itself."""

_MOST_OPEN = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one process does. run: number of the measurement. clients: connections, numbered from `first`. rate: calls a
    second that are begun whatever becomes of those before (Poisson arrivals), or 0: each client begins one when its
    last one ended."""

    address: str
    work: str
    stored: list[str]
    sets: str
    deadline: float
    repeated: float
    ca: str
    key: str
    run: int = 0
    first: int = 0
    clients: int = 1
    rate: float = 0.0
    seconds: float = 1.0
    mix: str = "id=1"
    out: str = ""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))


class Clients:
    """Some connections, and what became of their calls."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._metadata = (("authorization", f"Bearer {plan.key}"),) if plan.key else ()
        self._calls: list[tuple[int, int, float, float]] = []
        images = pictures(Path(plan.work))
        sets = pb.FeatureSet.FromString(Path(plan.sets).read_bytes())
        numbers = range(plan.first, plan.first + plan.clients)
        mix = Mix.parse(plan.mix)
        self._requests = [
            iter(Requests(plan.run, i, mix, plan.stored, images=images, sets=sets, repeated=plan.repeated))
            for i in numbers
        ]
        self._channels = [_channel(plan) for _ in numbers]
        self._start = 0.0

    async def connect(self) -> None:
        """Until all connections are there."""
        await asyncio.gather(*(channel.channel_ready() for channel in self._channels))

    async def run(self) -> np.ndarray[Any, np.dtype[np.void]]:
        """Call until the time is over; then wait for what is open."""
        self._start = time.perf_counter()
        await (self._at_a_rate() if self._plan.rate else self._one_by_one())
        for channel in self._channels:
            await channel.close()
        return np.array(self._calls, CALL)

    async def _one_by_one(self) -> None:
        await asyncio.gather(*itertools.starmap(self._closed, zip(self._channels, self._requests, strict=True)))

    async def _closed(self, channel: grpc.aio.Channel, requests: Iterator[Asked]) -> None:
        for asked in requests:
            due = time.perf_counter() - self._start
            if due >= self._plan.seconds:
                return
            await self._call(channel, asked, due)

    async def _at_a_rate(self) -> None:
        rng = np.random.default_rng([13, self._plan.first])
        turns = itertools.cycle(zip(self._channels, self._requests, strict=True))
        due, still_open = 0.0, set[asyncio.Task[None]]()
        while (due := due + rng.exponential(1 / self._plan.rate)) < self._plan.seconds:
            channel, requests = next(turns)
            asked = next(requests)
            await asyncio.sleep(due - (time.perf_counter() - self._start))
            if len(still_open) >= _MOST_OPEN:
                self._calls.append((asked.operation, NOT_SENT, due, 0.0))
                continue
            task = asyncio.create_task(self._call(channel, asked, due))
            still_open.add(task)
            task.add_done_callback(still_open.discard)
        await asyncio.gather(*still_open)

    async def _call(self, channel: grpc.aio.Channel, asked: Asked, due: float) -> None:
        code = grpc.StatusCode.OK
        try:
            if len(asked.messages) == 1:
                await channel.unary_unary(asked.path)(
                    asked.messages[0], timeout=self._plan.deadline, metadata=self._metadata
                )
            else:
                await self._stream(channel, asked)
        except grpc.aio.AioRpcError as error:
            code = error.code()
        ended = time.perf_counter() - self._start
        self._calls.append((asked.operation, code.value[0], due, ended - due))

    async def _stream(self, channel: grpc.aio.Channel, asked: Asked) -> None:
        call: Any = channel.stream_stream(asked.path)(timeout=self._plan.deadline, metadata=self._metadata)
        with contextlib.suppress(asyncio.InvalidStateError):  # an ended call: reading tells how it ended
            for message in asked.messages:
                await call.write(message)
            await call.done_writing()
        async for _ in call:
            pass


def _channel(plan: Plan) -> grpc.aio.Channel:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    if not plan.ca:
        return grpc.aio.insecure_channel(plan.address, options)
    credentials = grpc.ssl_channel_credentials(Path(plan.ca).read_bytes())
    return grpc.aio.secure_channel(plan.address, credentials, options)


async def _main() -> None:
    plan = Plan(**json.loads(sys.stdin.readline()))
    clients = Clients(plan)
    await clients.connect()
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.process_time()
    calls = await clients.run()
    np.savez(plan.out, calls=calls, cpu=time.process_time() - began)


if __name__ == "__main__":
    asyncio.run(_main())
