"""Filters are written as Python compares, and say what is wrong where Python would compare something else."""

from __future__ import annotations

import datetime
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import setwise
from setwise import F, Filter
from setwise_proto.v1 import filters_pb2 as pb
from setwise_proto.v1 import types_pb2

year, tags = F("year"), F("tags")


def number(value: int) -> types_pb2.Value:
    return types_pb2.Value(int_value=value)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (year == 2020, pb.Filter(equals=pb.Equals(field="year", value=number(2020)))),
        (year == None, pb.Filter(equals=pb.Equals(field="year", value=types_pb2.Value()))),  # noqa: E711
        (year == True, pb.Filter(equals=pb.Equals(field="year", value=types_pb2.Value(bool_value=True)))),  # noqa: E712
        (year > 2020, pb.Filter(range=pb.Range(field="year", gt=number(2020)))),
        (year >= 2020, pb.Filter(range=pb.Range(field="year", ge=number(2020)))),
        (year < 2020, pb.Filter(range=pb.Range(field="year", lt=number(2020)))),
        (2020 >= year, pb.Filter(range=pb.Range(field="year", le=number(2020)))),  # noqa: SIM300
        (year.between(1, 2), pb.Filter(range=pb.Range(field="year", ge=number(1), le=number(2)))),
        (year.in_([1, 2]), pb.Filter(any_of=pb.AnyOf(field="year", values=[number(1), number(2)]))),
        (year.in_([]), pb.Filter(any_of=pb.AnyOf(field="year"))),
        (tags.contains(1), pb.Filter(contains=pb.Contains(field="tags", value=number(1)))),
        (tags.exists(), pb.Filter(exists=pb.Exists(field="tags"))),
        (year != 2020, pb.Filter(negation=(year == 2020).message())),
        (~tags.exists(), pb.Filter(negation=tags.exists().message())),
    ],
)
def test_each_comparison_as_it_travels(where: Filter, message: pb.Filter) -> None:
    assert where.message() == message


def test_and_or_not() -> None:
    a, b, c = year == 1, year == 2, year == 3
    assert (a & b & c).message() == pb.Filter(every=pb.FilterList(filters=[f.message() for f in (a, b, c)]))
    assert (a | b).message() == pb.Filter(some=pb.FilterList(filters=[a.message(), b.message()]))
    assert ~~a == a
    assert str((a | b) & ~c) == "(year == 1 or year == 2) and year != 3"
    assert str(~(a & b) | c) == "not (year == 1 and year == 2) or year == 3"


def test_a_long_chain_is_no_deep_one() -> None:
    where = year == 0
    for value in range(1, 500):
        where = where | (year == value)
    assert len(where.message().some.filters) == 500
    for value in range(20):
        where = (where & (tags == value)) | (tags == -value)
    with pytest.raises(setwise.InvalidArgumentError, match="more than 30 levels deep"):
        where.message()


def test_numpy_values_are_plain_ones() -> None:
    assert str(year == np.int64(3)) == "year == 3"
    assert str(np.float32(0.5) <= year) == "year >= 0.5"
    assert str(year.in_(np.array([0.5, 1.5]))) == "year in [0.5, 1.5]"
    assert (year == np.True_).message() == (year == True).message()  # noqa: E712


def test_filters_are_values() -> None:
    where = (year >= 2020) & tags.contains("sea")
    assert pickle.loads(pickle.dumps(where)) == where
    assert {where: 1}[(year >= 2020) & tags.contains("sea")] == 1
    assert (year == 1) != (year == True)  # noqa: E712
    assert repr(where) == '<Filter year >= 2020 and tags contains "sea">'
    assert repr(year) == "F('year')"


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda: year > 1 and year < 3, "write & for and"),
        (lambda: 1 < year < 3, "chained comparisons"),
        (lambda: not (year > 1), "neither true nor false"),
        (lambda: year in [1, 2], "neither true nor false"),
        (lambda: 1 in year, r"write F\('year'\)\.contains\(1\)"),
        (lambda: year > 1 & tags, "each comparison in parentheses"),
        (lambda: (year > 1) & tags, r"ask F\('tags'\)\.exists\(\)"),
        (lambda: (year > 1) | 3, "3 stands beside a filter"),
        (lambda: year >= 2020 & tags.contains("sea"), "2020 stands beside a filter; put each comparison in paren"),
        (lambda: "a" | (year > 1), "put each comparison in parentheses"),
        (lambda: np.int64(3) & (year > 1), "put each comparison in parentheses"),
        (lambda: ~year, "alone is no condition"),
        (lambda: bool(year), "alone is no condition"),
        (lambda: year == tags, r"compared with F\('tags'\)"),
        (lambda: year > True, "order is for numbers, or for texts"),
        (lambda: year <= None, "order is for numbers, or for texts"),  # type: ignore[operator]
        (lambda: year.between(1, "b"), "order is for numbers, or for texts"),
        (lambda: year.in_("abc"), "for one value write =="),
        (lambda: year.in_([np.nan]), "a finite float"),
        (lambda: year == 2**63, "an int of 64 bits"),
        (lambda: year == [1], r"the value of F\('year'\) == is \[1\]"),  # type: ignore[comparison-overlap]
        (lambda: year > datetime.date(2020, 1, 1), r"\.isoformat\(\)"),  # type: ignore[operator]
        (lambda: F(""), "names no field"),
        (lambda: F("\ud800"), "the field of a filter"),
    ],
)
def test_what_python_would_take_for_something_else_is_told(write: Callable[[], Any], says: str) -> None:
    with pytest.raises(setwise.InvalidArgumentError, match=says) as caught:
        write()
    assert caught.value.field == "where"
