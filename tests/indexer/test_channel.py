"""The channel: bounded, ends when its producers have ended, wakes everyone when stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from setwise_indexer._channel import Channel, Stopped


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_batches_are_full_until_the_producers_have_ended() -> None:
    channel: Channel[int] = Channel(capacity=10, producers=1)
    for value in range(5):
        channel.put(value)
    channel.done()
    assert [channel.take(2), channel.take(2), channel.take(2), channel.take(2)] == [[0, 1], [2, 3], [4], []]


def test_a_full_channel_holds_its_producer_back() -> None:
    channel: Channel[int] = Channel(capacity=2, producers=1)
    put: list[int] = []

    def produce() -> None:
        for value in range(6):
            channel.put(value)
            put.append(value)
        channel.done()

    thread = in_thread(produce)
    taken = channel.take(2)
    while some := channel.take(2):
        assert len(put) <= len(taken) + 2 + 2
        taken += some
    thread.join()
    assert taken == list(range(6))


def test_stop_wakes_producers_and_takers() -> None:
    full, empty = Channel[int](1, 1), Channel[int](1, 1)
    full.put(0)
    stopped: list[bool] = []

    def wait(call: Callable[[], object]) -> None:
        with pytest.raises(Stopped):
            call()
        stopped.append(True)

    threads = [in_thread(lambda: wait(lambda: full.put(1))), in_thread(lambda: wait(empty.take))]
    full.stop()
    empty.stop()
    for thread in threads:
        thread.join(timeout=5)
    assert stopped == [True, True]
