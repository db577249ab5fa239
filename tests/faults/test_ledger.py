"""The model checker itself: it must see what is wrong, and only that."""

from __future__ import annotations

import pytest
from ledger import Ledger, State

ONE, TWO = State(1, ""), State(2, "")
SCORES = {ONE: 0.5, TWO: 0.25}


@pytest.fixture
def ledger() -> Ledger:
    """An image stored at version 1, and replaced by a call that got no answer."""
    ledger = Ledger()
    with ledger.asking({"a": ONE}) as answered:
        answered(1)
    with ledger.asking({"a": TWO}):
        pass
    return ledger


def test_between_question_and_answer_both_are_right(ledger: Ledger) -> None:
    assert ledger.possible("a", 0) == {None}
    assert ledger.possible("a", 1) == {ONE}
    assert ledger.possible("a", 2) == {ONE, TWO}
    for score in (0.5, 0.25):
        ledger.search([("a", score)], 2, SCORES.__getitem__)
    assert ledger.wrong == []


@pytest.mark.parametrize("hits", [[], [("a", 0.4)], [("a", 0.5), ("b", 0.1)], [("b", 0.1), ("a", 0.5)]])
def test_a_wrong_answer_is_told(ledger: Ledger, hits: list[tuple[str, float]]) -> None:
    ledger.search(hits, 2, SCORES.__getitem__)
    assert ledger.wrong


@pytest.mark.parametrize(("left", "lost", "wrong"), [(ONE, 0, 0), (TWO, 0, 0), (None, 0, 1), (State(3, ""), 0, 1)])
def test_a_crash_settles_what_was_open(ledger: Ledger, left: State | None, lost: int, wrong: int) -> None:
    ledger.after_a_crash({} if left is None else {"a": left}, 2)
    assert (len(ledger.lost), len(ledger.wrong)) == (lost, wrong)
    assert ledger.possible("a", 2) == {left}


def test_what_was_acknowledged_and_is_gone_is_lost() -> None:
    ledger = Ledger()
    with ledger.asking({"a": ONE}) as answered:
        answered(3)
    ledger.after_a_crash({}, 2)
    assert len(ledger.lost) == 2
