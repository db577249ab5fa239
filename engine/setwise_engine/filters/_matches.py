"""The slow twin of `evaluate`: what a filter means, image by image."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from setwise_engine.filters._kinds import Scalar, kind_of
from setwise_engine.filters._types import And, AnyOf, Contains, Equals, Exists, Filter, Not, Or, Range

__all__ = ["matches"]


def matches(where: Filter, metadata: Mapping[str, Any]) -> bool:
    """Whether an image with this metadata passes. This is the definition; SQL is held equal to it by the tests."""
    match where:
        case And(parts):
            return all(matches(part, metadata) for part in parts)
        case Or(parts):
            return any(matches(part, metadata) for part in parts)
        case Not(part):
            return not matches(part, metadata)
        case Exists(field):
            return field in metadata
        case _:
            return any(_passes(where, item) for item in _items(where, metadata))


def _passes(where: Equals | AnyOf | Range | Contains, item: Scalar) -> bool:
    match where:
        case AnyOf(_, values):
            return any(_same(item, value) for value in values)
        case Range():
            return _within(item, where)
        case _:
            return _same(item, where.value)


def _items(where: Equals | AnyOf | Range | Contains, metadata: Mapping[str, Any]) -> list[Scalar]:
    """What is compared: the value itself, or each element of a list; for `Contains` a list's elements only."""
    value = metadata.get(where.field, [])
    if isinstance(value, list):
        return value
    return [] if isinstance(where, Contains) else [value]


def _same(a: Scalar, b: Scalar) -> bool:
    return kind_of(a) == kind_of(b) and a == b


def _within(item: Any, bounds: Range) -> bool:
    # Texts in the order of their code points stand in the order of their UTF-8 bytes.
    return (
        _holds(operator.gt, item, bounds.gt)
        and _holds(operator.ge, item, bounds.ge)
        and _holds(operator.lt, item, bounds.lt)
        and _holds(operator.le, item, bounds.le)
    )


def _holds(compare: Callable[[Any, Any], bool], item: Any, bound: Scalar) -> bool:
    return bound is None or (kind_of(item) == kind_of(bound) and compare(item, bound))
