"""What may wait in memory: taken when there is room, waited for otherwise."""

from __future__ import annotations

import threading

import pytest

from setwise_engine.errors import CancelledError
from setwise_server._call import Call
from setwise_server.ingest import Budget


def never() -> None:
    raise AssertionError("there was room")


def test_what_fits_is_taken_at_once_and_more_than_all_when_nothing_is_held() -> None:
    budget = Budget(100)
    budget.take(60, Call(), never)
    budget.take(40, Call(), never)
    budget.give(100)
    budget.take(1000, Call(), never)


def test_who_must_wait_is_told_once_and_goes_on_when_there_is_room() -> None:
    budget, told = Budget(100), []
    budget.take(80, Call(), never)
    threading.Timer(0.2, budget.give, (80,)).start()
    budget.take(30, Call(), lambda: told.append(True))
    assert told == [True]


def test_a_caller_who_leaves_waits_no_longer() -> None:
    budget, call = Budget(100), Call()
    budget.take(100, Call(), never)
    with pytest.raises(CancelledError):
        budget.take(1, call, call.cancel)
