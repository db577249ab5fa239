"""What each caller may have: calls in a second, and streams at once."""

from __future__ import annotations

import pytest

from setwise_server import Limits, ServerSettings
from setwise_server._admission import SWEEP, Admission, client_of
from setwise_server._errors import BusyError
from setwise_server.security import ANONYMOUS, Access, Caller

KEY = Caller("shop", Access.READ)
PEER = "ipv4:127.0.0.1:50000"


class Clock:
    """Tells the time that the test says it is."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def admission_of(clock: Clock | None = None, **limits: float) -> Admission:
    return Admission(ServerSettings(limits=Limits(**limits)), clock or Clock())


def ask(admission: Admission, caller: Caller = KEY, peer: str = PEER) -> float:
    """One call that ends at once; 0, or the seconds until the next one would be taken."""
    try:
        with admission.enter(caller, peer, stream=False):
            return 0.0
    except BusyError as error:
        assert error.info["limit"] == "max_calls_per_second"
        return error.retry_after


def test_a_key_is_one_caller_wherever_it_comes_from_and_strangers_go_by_their_address() -> None:
    assert client_of(KEY, PEER) == client_of(KEY, "ipv4:10.0.0.1:1") == "shop"
    assert client_of(ANONYMOUS, PEER) == client_of(ANONYMOUS, "ipv4:127.0.0.1:1") == "ipv4:127.0.0.1"
    assert client_of(ANONYMOUS, "ipv6:[::1]:50000") == "ipv6:[::1]"
    assert client_of(ANONYMOUS, "unix:/tmp/socket") == "unix"
    assert client_of(ANONYMOUS, "unknown") == "unknown"


def test_one_second_of_calls_may_come_at_once_and_then_they_are_told_exactly_when_to_come_back() -> None:
    clock = Clock()
    admission = admission_of(clock, max_calls_per_second=10)
    assert [ask(admission) for _ in range(10)] == [0.0] * 10
    assert ask(admission) == pytest.approx(0.1)
    clock.now += 0.099
    assert ask(admission) == pytest.approx(0.001)
    clock.now += 0.001
    assert ask(admission) == 0.0
    assert ask(admission) == pytest.approx(0.1)


def test_whoever_comes_back_when_told_has_the_rate_in_the_long_run() -> None:
    clock = Clock()
    admission = admission_of(clock, max_calls_per_second=8)
    taken = 0
    while clock.now <= 1060:
        wait = ask(admission)
        taken += wait == 0
        clock.now += wait
    assert taken == 60 * 8 + 8


@pytest.mark.parametrize("rate", [0.5, 0.1])
def test_a_rate_below_one_call_a_second_takes_one_at_a_time(rate: float) -> None:
    clock = Clock()
    admission = admission_of(clock, max_calls_per_second=rate)
    assert ask(admission) == 0.0
    assert ask(admission) == pytest.approx(1 / rate)
    clock.now += 1 / rate
    assert ask(admission) == 0.0


def test_one_caller_does_not_use_up_what_another_may() -> None:
    admission = admission_of(max_calls_per_second=1)
    assert ask(admission) == 0.0
    assert ask(admission) > 0
    assert ask(admission, Caller("other", Access.READ)) == 0.0
    assert ask(admission, ANONYMOUS) == 0.0


def test_without_a_rate_as_many_as_come_are_taken() -> None:
    admission = admission_of()
    assert {ask(admission) for _ in range(1000)} == {0.0}


def test_callers_who_have_rested_are_forgotten() -> None:
    clock = Clock()
    admission = admission_of(clock, max_calls_per_second=1)
    for number in range(3 * SWEEP):
        clock.now += 1
        ask(admission, ANONYMOUS, f"ipv4:10.0.0.{number}:1")
    assert len(admission._rested) <= SWEEP


def test_streams_of_one_caller_are_counted_until_they_end_however_they_end() -> None:
    admission = admission_of(max_streams_per_client=2)
    other = Caller("other", Access.WRITE)
    with admission.enter(KEY, PEER, stream=True):
        with pytest.raises(KeyError), admission.enter(KEY, PEER, stream=True):
            with pytest.raises(BusyError) as caught, admission.enter(KEY, PEER, stream=True):
                pass
            assert caught.value.info == {"limit": "max_streams_per_client", "allowed": "2"}
            with admission.enter(other, PEER, stream=True), admission.enter(KEY, PEER, stream=False):
                pass
            raise KeyError
        with admission.enter(KEY, PEER, stream=True):
            pass
    assert not admission._streams
