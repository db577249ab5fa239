"""Filters are values: frozen, hashable, equal when they mean the same, and refused when they mean nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest

from setwise_engine.errors import InvalidInput
from setwise_engine.filters import MAX_DEPTH, And, AnyOf, Contains, Equals, Exists, Filter, Not, Or, Range


def test_true_is_not_1_though_python_says_so() -> None:
    assert Equals("a", True) != Equals("a", 1)
    assert AnyOf("a", (0, "x")) != AnyOf("a", (False, "x"))
    assert Contains("a", False) != Contains("a", 0)
    assert Equals("a", 1) == Equals("a", 1.0)
    assert len({Not(Equals("a", True)), Not(Equals("a", 1)), Not(Equals("a", 1.0))}) == 2


def test_parts_and_values_may_be_given_as_any_sequence_and_are_kept_as_tuples() -> None:
    where: Any = And([AnyOf("a", ["x", "y"]), Or([Exists("b")])])  # type: ignore[arg-type]
    assert where == And((AnyOf("a", ("x", "y")), Or((Exists("b"),))))
    assert hash(where)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Exists(""), "names the field ''"),
        (lambda: Exists("\ud800"), "names the field"),
        (lambda: Equals("a", math.nan), "compares with nan"),
        (lambda: Equals("a", math.inf), "compares with inf"),
        (lambda: Equals("a", 1 << 63), "64-bit"),
        (lambda: Equals("a", "\ud800"), "compares with"),
        (lambda: Equals("a", [1]), r"compares with \[1\]"),
        (lambda: AnyOf("a", (1, {})), "compares with {}"),
        (lambda: Contains("a", b"x"), "compares with b'x'"),
        (lambda: Range("a"), "has no bound"),
        (lambda: Range("a", gt=1, lt="b"), "numbers only, or texts only"),
        (lambda: Range("a", gt=True), "numbers only, or texts only"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(make: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        make()
    assert caught.value.field == "where"


def test_filters_may_stand_in_each_other_but_not_without_end() -> None:
    where: Filter = Exists("a")
    for _ in range(MAX_DEPTH - 1):
        where = Not(where)
    assert hash(where) == hash(where)
    with pytest.raises(InvalidInput, match="64 levels deep"):
        And((Exists("b"), where))
