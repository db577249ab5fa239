"""Deadlines and cancellation, as the engine sees them."""

from __future__ import annotations

import pytest

from setwise_engine.errors import CancelledError, DeadlineError
from setwise_server._call import Call


def test_a_call_without_deadline_goes_on() -> None:
    call = Call()
    call.check()
    call()
    assert call.elapsed_ms() >= 0


def test_a_passed_deadline_raises_and_says_what_to_do() -> None:
    with pytest.raises(DeadlineError, match="allow more time"):
        Call(timeout=0).check()


def test_a_cancelled_call_raises() -> None:
    call = Call(timeout=60)
    call.cancel()
    with pytest.raises(CancelledError):
        call.check()
