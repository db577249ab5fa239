"""Filters and metadata values from the wire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from setwise_engine.collection import MetadataValue
from setwise_engine.errors import InvalidInput
from setwise_engine.filters import And, AnyOf, Contains, Equals, Exists, Filter, Not, Or, Range, Scalar
from setwise_proto.v1 import filters_pb2
from setwise_proto.v1 import types_pb2 as pb
from setwise_server._errors import LimitError
from setwise_server.settings import Limits

__all__ = ["filter_from_proto", "metadata_from_proto", "where_of"]

BOUNDS = ("gt", "ge", "lt", "le")


def where_of(message: Any, limits: Limits) -> Filter | None:
    """The filter in the field `where` of a message; None when there is none. Raises as `filter_from_proto`."""
    return filter_from_proto(message.where, limits) if message.HasField("where") else None


def filter_from_proto(message: filters_pb2.Filter, limits: Limits, path: str = "where") -> Filter:
    """The engine's filter. Raises InvalidInput, or LimitError for more terms than are allowed, naming the field below
    `path` (`where.every.filters[1].equals.value`)."""
    return _Reader(limits.max_filter_terms).read(message, path)


def metadata_from_proto(values: Mapping[str, pb.Value]) -> dict[str, MetadataValue]:
    """An image's metadata. Raises InvalidInput naming the field `metadata` for a list within a list."""
    return {name: _value(values[name], name) for name in values}


class _Reader:
    """Reads one filter, counting its terms: conditions, joints, and the values of `any_of`."""

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._terms = 0

    def read(self, message: filters_pb2.Filter, path: str) -> Filter:
        self._count(1, path)
        kind = message.WhichOneof("condition")
        if kind is None:
            raise InvalidInput("the filter is empty; set one of its conditions, or leave it out", field=path)
        below = f"{path}.{kind}"
        condition = getattr(message, kind)
        if kind == "negation":
            part = self.read(condition, below)
            with _located(below):
                return Not(part)
        if kind in ("every", "some"):
            parts = tuple(self.read(part, f"{below}.filters[{i}]") for i, part in enumerate(condition.filters))
            with _located(below):
                return And(parts) if kind == "every" else Or(parts)
        return self._leaf(kind, condition, below)

    def _leaf(self, kind: str, condition: Any, path: str) -> Filter:
        with _located(path):
            match kind:
                case "any_of":
                    self._count(len(condition.values), f"{path}.values")
                    return AnyOf(condition.field, tuple(_scalars(condition.values, f"{path}.values")))
                case "range":
                    given = [name for name in BOUNDS if condition.HasField(name)]
                    return Range(
                        condition.field, **{name: _bound(getattr(condition, name), f"{path}.{name}") for name in given}
                    )
                case "exists":
                    return Exists(condition.field)
                case _:
                    value = _scalar(condition.value, f"{path}.value")
                    return (Equals if kind == "equals" else Contains)(condition.field, value)

    def _count(self, terms: int, path: str) -> None:
        self._terms += terms
        if self._terms > self._allowed:
            message = f"the filter has more than {self._allowed} conditions, joints and values"
            raise LimitError(message, field=path, limit="max_filter_terms", allowed=self._allowed)


@contextmanager
def _located(path: str) -> Iterator[None]:
    """Faults that the engine finds in a filter lie at `path`; those that were located before keep their place."""
    try:
        yield
    except InvalidInput as error:
        if error.field in ("", "where"):
            error.field = path
        raise


def _scalars(values: Iterable[pb.Value], path: str) -> Iterator[Scalar]:
    return (_scalar(value, f"{path}[{i}]") for i, value in enumerate(values))


def _scalar(value: pb.Value, path: str) -> Scalar:
    kind = value.WhichOneof("kind")
    if kind == "list_value":
        raise InvalidInput("a filter compares with a list; give a scalar, or any_of", field=path)
    scalar: Scalar = None if kind is None else getattr(value, kind)
    return scalar


def _bound(value: pb.Value, path: str) -> Any:
    """Null and booleans are told from an absent bound here: the engine takes None for no bound."""
    bound = _scalar(value, path)
    if bound is None or isinstance(bound, bool):
        raise InvalidInput(f"the bound is {bound}; give a number or text", field=path)
    return bound


def _value(value: pb.Value, name: str) -> MetadataValue:
    kind = value.WhichOneof("kind")
    if kind is None:
        return None
    if kind != "list_value":
        plain: MetadataValue = getattr(value, kind)
        return plain
    items = value.list_value.values
    if any(item.WhichOneof("kind") == "list_value" for item in items):
        raise InvalidInput(f'metadata "{name}" holds a list within a list; lists hold scalars', field="metadata")
    return [_value(item, name) for item in items]  # type: ignore[misc]
