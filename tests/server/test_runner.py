"""The bounded pool between the event loop and the engine: who runs, who waits, who is refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from setwise_engine.errors import CancelledError, DeadlineError
from setwise_server import _place
from setwise_server._call import Call
from setwise_server._errors import BusyError, NotReadyError
from setwise_server._runner import Runner

Scenario = Callable[[Runner, threading.Event], Coroutine[Any, Any, None]]


def acted(scenario: Scenario, **room: Any) -> None:
    """Runs a scenario with a runner and a gate for its calls to wait at; in the end nothing is left behind."""

    async def act() -> None:
        runner, gate = Runner(**({"workers": 1, "max_queue": 1} | room)), threading.Event()
        try:
            await scenario(runner, gate)
        finally:
            gate.set()
            assert await runner.drain(5)
            assert (runner.running, runner.waiting) == (0, 0)
            async with asyncio.timeout(5):
                while runner._spare:  # the threads take back what was asked of them for calls that have gone
                    await asyncio.sleep(0.001)
            await runner.close()

    asyncio.run(act())


async def ask(runner: Runner, work: Callable[[], Any], caller: str = "", call: Call | None = None) -> Any:
    call = call or Call()
    with runner.place(call, caller) as place:
        return await place.run(work)


async def begin(*coroutines: Coroutine[Any, Any, Any]) -> list[asyncio.Task[Any]]:
    """Tasks that have come as far as they come by themselves."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    await asyncio.sleep(0.02)
    return tasks


def test_work_runs_beside_the_event_loop_and_its_error_comes_back() -> None:
    async def scenario(runner: Runner, _: threading.Event) -> None:
        assert await ask(runner, lambda: threading.current_thread().name) == "setwise_0"
        with pytest.raises(KeyError):
            await ask(runner, lambda: {}["no"])

    acted(scenario)


def test_a_full_queue_refuses_and_takes_again_when_there_is_room() -> None:
    async def scenario(runner: Runner, gate: threading.Event) -> None:
        running = await begin(ask(runner, lambda: gate.wait(10)), ask(runner, lambda: gate.wait(10)))
        assert (runner.running, runner.waiting) == (1, 1)
        with pytest.raises(BusyError, match=r"2 calls .*--max-queue") as caught:
            await ask(runner, lambda: None)
        assert caught.value.info == {"limit": "max_queue", "allowed": "1"}
        gate.set()
        assert await asyncio.gather(*running) == [True, True]
        assert await ask(runner, lambda: "again") == "again"

    acted(scenario, option="--max-queue")


def test_a_caller_who_leaves_cancels_the_call_but_its_place_is_kept_until_it_notices() -> None:
    async def scenario(runner: Runner, gate: threading.Event) -> None:
        call = Call()

        def work() -> None:
            while True:
                try:
                    call.check()
                except CancelledError:
                    gate.wait(10)
                    raise

        (task,) = await begin(ask(runner, work, call=call))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(BusyError):
            await ask(runner, lambda: None)

    acted(scenario, max_queue=0)


def test_a_caller_who_leaves_the_queue_gives_up_its_place_at_once_and_is_not_begun() -> None:
    async def scenario(runner: Runner, gate: threading.Event) -> None:
        begun: list[str] = []
        first, second = await begin(ask(runner, lambda: gate.wait(10)), ask(runner, lambda: begun.append("second")))
        second.cancel()
        (third,) = await begin(ask(runner, lambda: begun.append("third")))
        assert second.cancelled()
        gate.set()
        await asyncio.gather(first, third)
        assert begun == ["third"]

    acted(scenario)


def test_a_call_whose_deadline_passed_in_the_queue_is_not_begun() -> None:
    async def scenario(runner: Runner, gate: threading.Event) -> None:
        begun: list[str] = []
        _, late = await begin(
            ask(runner, lambda: gate.wait(10)), ask(runner, lambda: begun.append("late"), call=Call(timeout=0.001))
        )
        gate.set()
        with pytest.raises(DeadlineError):
            await late
        assert not begun

    acted(scenario)


def test_callers_take_turns() -> None:
    async def scenario(runner: Runner, gate: threading.Event) -> None:
        order: list[str] = []
        names = ["a1", "a2", "a3", "b1", "b2", "c1"]
        calls = [ask(runner, lambda name=name: order.append(name), name[0]) for name in names]
        tasks = await begin(ask(runner, lambda: gate.wait(10), "a"), *calls)
        gate.set()
        await asyncio.gather(*tasks)
        assert order == ["a1", "b1", "c1", "a2", "b2", "a3"]

    acted(scenario, max_queue=8)


def test_no_caller_takes_the_whole_queue_from_another() -> None:
    async def scenario(runner: Runner, gate: threading.Event) -> None:
        greedy = await begin(*(ask(runner, lambda: gate.wait(10), "greedy") for _ in range(5)))
        with pytest.raises(BusyError):
            await ask(runner, lambda: None, "greedy")
        (modest,) = await begin(ask(runner, lambda: "served", "modest"))
        with pytest.raises(BusyError, match="running or waiting"):
            await greedy[-1]  # the newest had to go
        gate.set()
        assert await modest == "served"
        assert await asyncio.gather(*greedy[:-1]) == [True] * 4

    acted(scenario, max_queue=4)


def test_a_call_that_would_come_to_its_turn_too_late_is_refused_at_once() -> None:
    async def scenario(runner: Runner, gate: threading.Event) -> None:
        pause = threading.Event()
        await ask(runner, lambda: pause.wait(0.1))  # so that it knows how long calls take
        with runner.place(Call(), timeout=0.05):
            pass  # nobody waits: it is tried, however short the time
        tasks = await begin(*(ask(runner, lambda: gate.wait(10)) for _ in range(4)))  # one runs, three wait
        with pytest.raises(BusyError, match="deadline") as caught, runner.place(Call(), timeout=0.5):
            pass
        assert caught.value.retry_after >= 0.3
        with runner.place(Call(), "another", timeout=0.5):
            pass  # callers take turns: only one call is before it
        with runner.place(Call(), timeout=60):
            pass
        gate.set()
        await asyncio.gather(*tasks)

    acted(scenario, max_queue=8)


def test_without_a_queue_the_limit_is_told_and_not_the_deadline() -> None:
    async def scenario(runner: Runner, gate: threading.Event) -> None:
        pause = threading.Event()
        await ask(runner, lambda: pause.wait(0.1))
        (running,) = await begin(ask(runner, lambda: gate.wait(10)))
        with pytest.raises(BusyError) as caught, runner.place(Call(), timeout=0.01):
            pass
        assert caught.value.info == {"limit": "max_streams", "allowed": "1"}
        gate.set()
        await running

    acted(scenario, max_queue=0, limit="max_streams")


def test_a_request_that_does_not_arrive_gives_its_place_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_place, "RECEIVE_S", 0.02)

    async def scenario(runner: Runner, _: threading.Event) -> None:
        with pytest.raises(DeadlineError, match="did not arrive"), runner.place(Call()) as place:
            await place.receive(asyncio.get_running_loop().create_future())
        with runner.place(Call()) as place:
            assert await place.receive(asyncio.sleep(0, b"request")) == b"request"
            assert await place.run(lambda: b"reply") == b"reply"

    acted(scenario)


def test_half_sent_requests_of_one_caller_make_room_for_another() -> None:
    async def scenario(runner: Runner, _: threading.Event) -> None:
        async def stall() -> None:
            with runner.place(Call(), "slow") as place:
                await place.receive(asyncio.get_running_loop().create_future())

        stalled = await begin(stall(), stall())
        assert await ask(runner, lambda: "served", "quick") == "served"
        with pytest.raises(BusyError):
            await stalled[1]
        stalled[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await stalled[0]

    acted(scenario)


def test_what_does_not_end_within_the_grace_is_told_to_end_and_what_waits_is_refused() -> None:
    async def scenario(runner: Runner, _: threading.Event) -> None:
        call = Call()

        def work() -> None:
            while True:
                call.check()

        tasks = await begin(ask(runner, work, call=call), ask(runner, lambda: None))
        assert not await runner.drain(0.01)
        for task in tasks:
            with pytest.raises(NotReadyError, match="the server stops"):
                await task

    acted(scenario)
