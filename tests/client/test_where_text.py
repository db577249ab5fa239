"""The text form of filters: what it means, and where it goes wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import setwise
from setwise import F, Filter
from setwise._where_text import parse_where, where_message


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("year >= 2020", F("year") >= 2020),
        ("year>=2020 and camera=='front'", (F("year") >= 2020) & (F("camera") == "front")),
        ("a = 1", F("a") == 1),
        ("a != null", F("a") != None),  # noqa: E711
        ("a == true or b == FALSE", (F("a") == True) | (F("b") == False)),  # noqa: E712
        ("a == 1 or b == 2 and c == 3", (F("a") == 1) | ((F("b") == 2) & (F("c") == 3))),
        ("(a == 1 or b == 2) AND not c == 3", ((F("a") == 1) | (F("b") == 2)) & ~(F("c") == 3)),
        ('a in [1, -2.5, "x", null]', F("a").in_([1, -2.5, "x", None])),
        ("a not in []", ~F("a").in_([])),
        ('tags contains "sea"', F("tags").contains("sea")),
        ('tags not contains "sea"', ~F("tags").contains("sea")),
        ("gps exists and not exif:iso exists", F("gps").exists() & ~F("exif:iso").exists()),
        ("a between 1 and 2 and b == 3", F("a").between(1, 2) & (F("b") == 3)),
        ('"shutter speed" < .5', F("shutter speed") < 0.5),
        ("'and' == 1e3", F("and") == 1000.0),
        ('größe == "\\u00e4\\n"', F("größe") == "ä\n"),
        ("a == 'it\\'s \"so\"'", F("a") == 'it\'s "so"'),
        ("true", Filter("and")),
        ("false or a == 1", Filter("or") | (F("a") == 1)),
    ],
)
def test_what_a_text_means(text: str, where: Filter) -> None:
    assert parse_where(text) == where
    assert where_message(text) == where.message()


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
FIELDS = st.builds(F, st.text(min_size=1) | st.sampled_from(["year", "in", "null", "a-b"]))
TESTS = st.one_of(
    st.builds(lambda f, v: f == v, FIELDS, SCALARS),
    st.builds(lambda f, v: f > v, FIELDS, NUMBERS),
    st.builds(lambda f, v: f <= v, FIELDS, st.text()),
    st.builds(lambda f, v, w: f.between(v, w), FIELDS, NUMBERS, NUMBERS),
    st.builds(lambda f, v: f.in_(v), FIELDS, st.lists(SCALARS, max_size=3)),
    st.builds(lambda f, v: f.contains(v), FIELDS, SCALARS),
    st.builds(lambda f: f.exists(), FIELDS),
    st.just(Filter("and")),
)
FILTERS = st.recursive(
    TESTS,
    lambda part: st.one_of(
        st.builds(lambda a, b: a & b, part, part),
        st.builds(lambda a, b: a | b, part, part),
        st.builds(lambda a: ~a, part),
    ),
    max_leaves=8,
)


@given(FILTERS)
def test_the_text_of_a_filter_is_read_as_that_filter(where: Filter) -> None:
    again = parse_where(str(where))
    assert str(again) == str(where)
    assert again.message() == where.message()


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("", 1, "it is empty"),
        ("year >=", 8, "expected a value after >="),
        ("year >= and camera", 9, "expected a value after >="),
        ("year 2020", 6, "expected ==, !=, >, >=, <, <=, in, contains, between or exists after the field, found 2020"),
        ("2020 <= year", 1, "the field stands first"),
        ("camera == front", 11, 'text stands in quotes: "front"'),
        ("a == 1 && b == 2", 8, "write and"),
        ("(a == 1", 8, "expected `and`, `or` or `)`, found the end"),
        ("a == 1)", 7, "expected `and`, `or` or the end"),
        ('a == "x', 6, "the quotes are not closed"),
        ("and == 3", 1, 'stands in quotes: "and"'),
        ("a > true", 3, "order is for numbers, or for texts"),
        ('a between 1 and "x"', 3, "order is for numbers, or for texts"),
        ("a in 1", 6, "expected a list"),
        ("a in [1 2]", 9, "expected `,` or `]`"),
        ('a == "\\q"', 6, "an escape that is none of JSON's"),
        ('a == "\\ud800"', 6, "an escape that is none of JSON's"),
        ("a == 9223372036854775808", 6, "too large"),
        ("a == 1e999", 6, "too large"),
        ("a == 20x", 6, "no meaning here"),
        ("a not exists", 7, "expected in, contains or between after `not`"),
        ("(" * 99 + "a == 1", 31, "more than 30 levels deep"),
        ("not " * 99 + "a == 1", 121, "more than 30 levels deep"),
        ("'' == 1", 1, "expected a field"),
    ],
)
def test_faults_are_told_with_their_place(text: str, place: int, says: str) -> None:
    with pytest.raises(setwise.InvalidArgumentError) as caught:
        parse_where(text)
    assert caught.value.message.startswith(f"where, character {place} (")
    assert says in caught.value.message
    assert caught.value.field == "where"
    assert "\n" not in caught.value.message


@given(st.text(alphabet="ab1.-\"'\\ ()[],=<>!andorinotulcxsb&\n") | st.text())
def test_no_text_does_harm(text: str) -> None:
    try:
        parse_where(text).message()
    except setwise.InvalidArgumentError as error:
        assert error.field == "where"


@pytest.mark.parametrize("where", [3, {"year": 2020}, F("year"), ["year == 1"]])
def test_anything_else_is_no_filter(where: Any) -> None:
    with pytest.raises(setwise.InvalidArgumentError, match=r"where is|alone is no condition"):
        where_message(where)
