"""What a filter means, example by example."""

from __future__ import annotations

import pytest

from setwise_engine.filters import And, AnyOf, Contains, Equals, Exists, Filter, Not, Or, Range, matches

PHOTO = {
    "year": 2021,
    "rating": 4.0,
    "camera": "front",
    "public": True,
    "place": None,
    "tags": ["sea", "boat", 7, False],
    "albums": [],
}


@pytest.mark.parametrize(
    "where",
    [
        Equals("year", 2021),
        Equals("year", 2021.0),
        Equals("rating", 4),
        Equals("public", True),
        Equals("place", None),
        Equals("tags", "sea"),
        Contains("tags", "sea"),
        Contains("tags", False),
        AnyOf("camera", ("back", "front")),
        AnyOf("tags", ("x", 7)),
        Range("year", ge=2021),
        Range("year", gt=2020.5, lt=2021.5),
        Range("camera", ge="fr", lt="fs"),
        Range("tags", gt=6),
        Exists("place"),
        Exists("albums"),
        And(()),
        And((Exists("year"), Not(Exists("month")))),
        Or((Equals("year", 1), Equals("year", 2021))),
        Not(Equals("month", 5)),  # the image has no month: the comparison is false
        Not(Or(())),
    ],
    ids=repr,
)
def test_passes(where: Filter) -> None:
    assert matches(where, PHOTO)
    assert not matches(Not(where), PHOTO)


@pytest.mark.parametrize(
    "where",
    [
        Equals("year", "2021"),
        Equals("public", 1),
        Equals("place", 0),
        Equals("place", False),
        Equals("albums", None),
        Contains("camera", "front"),  # a text is no list
        Contains("year", 2021),
        Contains("albums", None),
        AnyOf("camera", ()),
        Range("year", gt=2021),
        Range("public", ge=0),  # a boolean is no number
        Range("camera", ge=0),
        Range("place", le=0),
        Range("tags", gt=7, lt=100),  # no element alone
        Exists("Year"),
        Or(()),
    ],
    ids=repr,
)
def test_does_not_pass(where: Filter) -> None:
    assert not matches(where, PHOTO)


def test_all_bounds_hold_for_one_element() -> None:
    assert not matches(Range("sizes", gt=2, lt=8), {"sizes": [1, 9]})
    assert matches(Range("sizes", gt=2, lt=8), {"sizes": [1, 5, 9]})


def test_text_compares_by_its_utf_8_bytes() -> None:
    assert matches(Range("name", gt="\uffff"), {"name": "\U00010000"})  # the other way round in UTF-16
    assert matches(Range("name", lt="a"), {"name": "B"})


def test_integers_compare_exactly_with_floats() -> None:
    assert not matches(Equals("n", float(2**53)), {"n": 2**53 + 1})
    assert matches(Range("n", gt=float(2**53)), {"n": 2**53 + 1})
