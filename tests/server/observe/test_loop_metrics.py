"""A loop that is held up is seen to be."""

from __future__ import annotations

import asyncio
import time

from prometheus_client import CollectorRegistry

from setwise_server.observe._loop_metrics import EVERY_S, LoopMetrics


def test_what_blocks_the_loop_is_measured() -> None:
    watch, registry = LoopMetrics(), CollectorRegistry()
    registry.register(watch)

    async def scenario() -> None:
        watch.start()
        await asyncio.sleep(0)
        time.sleep(EVERY_S + 0.4)
        await asyncio.sleep(0.01)
        watch.stop()

    asyncio.run(scenario())

    late = registry.get_sample_value("setwise_event_loop_delay_seconds_bucket", {"le": "+Inf"})
    in_time = registry.get_sample_value("setwise_event_loop_delay_seconds_bucket", {"le": "0.25"})
    assert late is not None
    assert in_time is not None
    assert late > in_time


def test_it_may_be_stopped_before_it_began() -> None:
    LoopMetrics().stop()
