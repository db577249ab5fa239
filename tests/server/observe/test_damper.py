"""A flood of like events is told in a few lines."""

from __future__ import annotations

from setwise_server.observe._damper import Damper


class Clock:
    """A clock that a test turns."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_so_many_of_a_kind_in_a_second() -> None:
    damper = Damper(3, Clock())

    assert [damper.let("busy") for _ in range(5)] == [0, 0, 0, None, None]
    assert damper.let("another") == 0


def test_the_next_one_told_says_how_many_were_not() -> None:
    clock = Clock()
    damper = Damper(1, clock)
    for _ in range(8):
        damper.let("busy")

    clock.now += 1

    assert damper.let("busy") == 7
    assert damper.let("busy") is None


def test_a_quiet_kind_is_always_told() -> None:
    clock = Clock()
    damper = Damper(1, clock)

    for _ in range(5):
        assert damper.let("busy") == 0
        clock.now += 1
