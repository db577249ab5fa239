"""What the networks have done, counted from many threads."""

from __future__ import annotations

import threading

from setwise_server._meters import Meters, Tally


def test_a_tally_counts_by_the_least_bound_that_is_not_below() -> None:
    tally = Tally((1, 2, 4))

    for number in (1, 2, 3, 4, 5):
        tally.add(number)

    assert tally.read() == ([1, 1, 2, 1], 15)


def test_nothing_is_lost_between_threads() -> None:
    meters = Meters()

    def work() -> None:
        for _ in range(2000):
            meters.passed(2, 0.5)
            meters.looked_up(hit=True)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    counts, total = meters.images.read()
    assert (sum(counts), total, meters.hits, meters.misses) == (8000, 16000, 8000, 0)
