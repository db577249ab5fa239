"""The line of those who wait: in order for each caller, and callers in turn."""

from __future__ import annotations

from setwise_server._line import Line


def line_of(*calls: str) -> Line[str]:
    """`a1` is the first call of caller `a`; all of them are ready."""
    line: Line[str] = Line()
    for call in calls:
        line.join(call[0], call)
        line.ready(call[0], call)
    return line


def drained(line: Line[str]) -> list[str]:
    calls = []
    while (call := line.next()) is not None:
        calls.append(call)
    assert not line.waiting()
    return calls


def test_one_caller_alone_is_served_in_order() -> None:
    assert drained(line_of("a1", "a2", "a3")) == ["a1", "a2", "a3"]


def test_callers_take_turns_however_many_calls_one_of_them_has() -> None:
    assert drained(line_of("a1", "a2", "a3", "b1", "c1", "b2")) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_call_whose_request_has_not_come_is_passed_over_and_still_counts() -> None:
    line = line_of("a1")
    line.join("b", "b1")
    assert [line.next(), line.next()] == ["a1", None]
    assert len(line) == 1
    line.ready("b", "b1")
    assert line.next() == "b1"


def test_whoever_leaves_is_forgotten_and_leaving_says_whether_it_was_ready() -> None:
    line = line_of("a1", "a2", "b1")
    line.join("c", "c1")
    assert line.leave("a", "a1")
    assert line.leave("b", "b1")
    assert not line.leave("c", "c1")
    assert not line.leave("a", "a1")
    assert not line.leave("nobody", "n1")
    assert drained(line) == ["a2"]


def test_a_newcomer_displaces_the_newest_call_of_whoever_has_the_most() -> None:
    line = line_of("a1", "a2", "a3", "b1", "b2")
    assert line.displaced_by("c") == "a3"
    assert line.displaced_by("b") is None  # or b would have as many as a had, and a as many as b
    line.join("a", "a4")
    assert line.displaced_by("b") == "a4"
    assert line.displaced_by("a") is None
    assert Line[str]().displaced_by("a") is None


def test_how_many_come_before_is_counted_with_callers_in_turn() -> None:
    line = line_of("a1", "a2", "a3", "b1")
    assert line.ahead_of("c") == 2  # a1 and b1
    assert line.ahead_of("b") == 3  # b1, a1 and a2
    assert line.ahead_of("a") == 4
