"""Filters and metadata from the wire: what they become, and where in the request a fault lies."""

from __future__ import annotations

import math

import pytest

from setwise_engine.errors import InvalidInput
from setwise_engine.filters import And, AnyOf, Contains, Equals, Exists, Not, Or, Range
from setwise_proto.v1 import filters_pb2 as pb
from setwise_proto.v1 import types_pb2 as types
from setwise_server import Limits
from setwise_server._filters import filter_from_proto, metadata_from_proto

LIMITS = Limits(max_filter_terms=10)


def value(given) -> types.Value:
    """A scalar as the wire has it."""
    kinds = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}
    return types.Value() if given is None else types.Value(**{kinds[type(given)]: given})


def equals(field: str, given) -> pb.Filter:
    return pb.Filter(equals=pb.Equals(field=field, value=value(given)))


def joined(kind: str, *parts: pb.Filter) -> pb.Filter:
    return pb.Filter(**{kind: pb.FilterList(filters=parts)})


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (equals("a", 1), Equals("a", 1)),
        (equals("a", True), Equals("a", True)),
        (equals("a", None), Equals("a", None)),
        (equals("a", 0.5), Equals("a", 0.5)),
        (pb.Filter(any_of=pb.AnyOf(field="a", values=[value("x"), value(2)])), AnyOf("a", ("x", 2))),
        (pb.Filter(range=pb.Range(field="a", ge=value(0), lt=value(2.5))), Range("a", ge=0, lt=2.5)),
        (pb.Filter(range=pb.Range(field="a", gt=value(""), le=value("z"))), Range("a", gt="", le="z")),
        (pb.Filter(exists=pb.Exists(field="a")), Exists("a")),
        (pb.Filter(contains=pb.Contains(field="a", value=value("x"))), Contains("a", "x")),
        (joined("every"), And(())),
        (joined("some", equals("a", 1), equals("b", 2)), Or((Equals("a", 1), Equals("b", 2)))),
        (pb.Filter(negation=joined("every", equals("a", 1))), Not(And((Equals("a", 1),)))),
    ],
)
def test_a_filter_is_what_the_engine_calls_it(message: pb.Filter, expected) -> None:
    read = filter_from_proto(message, LIMITS)
    assert read == expected
    assert hash(read) == hash(expected)


LIST = types.Value(list_value=types.ListValue(values=[value(1)]))


@pytest.mark.parametrize(
    ("message", "field", "said"),
    [
        (pb.Filter(), "where", "is empty"),
        (joined("every", equals("a", 1), pb.Filter()), "where.every.filters[1]", "is empty"),
        (pb.Filter(negation=equals("", 1)), "where.negation.equals", "not empty"),
        (equals("a", math.nan), "where.equals", "finite"),
        (pb.Filter(equals=pb.Equals(field="a", value=LIST)), "where.equals.value", "any_of"),
        (pb.Filter(any_of=pb.AnyOf(field="a", values=[value(1), LIST])), "where.any_of.values[1]", "scalar"),
        (pb.Filter(range=pb.Range(field="a")), "where.range", "no bound"),
        (pb.Filter(range=pb.Range(field="a", gt=value(1), lt=value("b"))), "where.range", "numbers only"),
        (pb.Filter(range=pb.Range(field="a", gt=value(True))), "where.range.gt", "number or text"),
        (pb.Filter(range=pb.Range(field="a", gt=value(None))), "where.range.gt", "number or text"),
        (joined("every", *[equals("a", 1)] * 10), "where.every.filters[9]", "more than 10"),
        (pb.Filter(any_of=pb.AnyOf(field="a", values=[value(1)] * 10)), "where.any_of.values", "more than 10"),
    ],
)
def test_a_fault_is_told_with_its_place(message: pb.Filter, field: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        filter_from_proto(message, LIMITS)
    assert caught.value.field == field


def test_a_filter_that_is_too_deep_is_refused() -> None:
    message = equals("a", 1)
    for _ in range(80):
        message = pb.Filter(negation=message)
    with pytest.raises(InvalidInput, match="levels deep"):
        filter_from_proto(message, Limits())


def test_metadata_keeps_kinds_and_lists() -> None:
    given = {"n": None, "b": False, "i": 7, "f": 1.0, "s": "x", "l": [1, "a", None]}
    wire = {name: value(each) for name, each in given.items() if name != "l"}
    wire["l"] = types.Value(list_value=types.ListValue(values=[value(1), value("a"), value(None)]))
    read = metadata_from_proto(wire)
    assert read == given
    assert [type(read[name]) for name in "bif"] == [bool, int, float]


def test_a_list_within_a_list_is_refused() -> None:
    with pytest.raises(InvalidInput, match="list within a list"):
        metadata_from_proto({"a": types.Value(list_value=types.ListValue(values=[LIST]))})
