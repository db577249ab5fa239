"""The bounded pool between the event loop and the engine."""

from __future__ import annotations

import asyncio
import threading

import pytest

from setwise_engine.errors import CancelledError
from setwise_server._call import Call
from setwise_server._errors import BusyError
from setwise_server._runner import Runner


def test_work_runs_beside_the_event_loop_and_its_error_comes_back() -> None:
    async def scenario() -> None:
        runner = Runner(workers=1, max_queue=0)

        def name() -> bytes:
            return threading.current_thread().name.encode()

        def fail() -> bytes:
            raise KeyError("no")

        assert await runner.run(name, Call()) == b"setwise_0"
        with pytest.raises(KeyError):
            await runner.run(fail, Call())
        assert await runner.drain(5)
        await runner.close()

    asyncio.run(scenario())


def test_a_full_queue_refuses_and_takes_again_when_there_is_room() -> None:
    async def scenario() -> None:
        runner, gate = Runner(workers=1, max_queue=1, option="--max-queue"), threading.Event()

        def wait() -> bytes:
            gate.wait(10)
            return b"done"

        running = [asyncio.create_task(runner.run(wait, Call())) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match=r"2 calls .*--max-queue"):
            await runner.run(wait, Call())
        assert not await runner.drain(0.01)
        gate.set()
        assert await asyncio.gather(*running) == [b"done", b"done"]
        assert await runner.drain(5)
        assert await runner.run(lambda: b"again", Call()) == b"again"
        await runner.close()

    asyncio.run(scenario())


def test_a_caller_who_leaves_cancels_the_call_but_its_place_is_kept_until_it_notices() -> None:
    async def scenario() -> None:
        runner, call, noticed = Runner(workers=1, max_queue=0), Call(), threading.Event()

        def work() -> bytes:
            while True:
                try:
                    call.check()
                except CancelledError:
                    noticed.wait(10)
                    raise

        task = asyncio.create_task(runner.run(work, call))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(BusyError):
            await runner.run(lambda: b"", Call())
        noticed.set()
        assert await runner.drain(5)
        await runner.close()

    asyncio.run(scenario())


def test_a_caller_who_leaves_the_queue_gives_up_its_place() -> None:
    async def scenario() -> None:
        runner, gate = Runner(workers=1, max_queue=1), threading.Event()

        def wait() -> bytes:
            gate.wait(10)
            return b""

        first = asyncio.create_task(runner.run(wait, Call()))
        second = asyncio.create_task(runner.run(lambda: b"never", Call()))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.sleep(0.05)
        third = asyncio.create_task(runner.run(lambda: b"third", Call()))
        gate.set()
        assert await asyncio.gather(first, third) == [b"", b"third"]
        await runner.drain(5)
        await runner.close()

    asyncio.run(scenario())
