"""Metadata and the values in it, from Python to the wire and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from setwise._errors import InvalidArgumentError
from setwise_proto.v1 import types_pb2

__all__ = ["Metadata", "Scalar", "metadata_message", "parse_metadata", "parse_value", "plain_scalar", "scalar_message"]

Scalar: TypeAlias = bool | int | float | str | None
Metadata: TypeAlias = Mapping[str, Scalar | list[Scalar]]


def plain_scalar(value: Any, what: str, field: str) -> Scalar:
    """A JSON scalar: None, bool, int of 64 bits, finite float or text; numpy's scalars are turned into those.

    what names the value in errors. Raises InvalidArgumentError for anything else.
    """
    plain = value.item() if isinstance(value, np.generic) else value
    match plain:
        case None | bool():
            return plain
        case int() if -(1 << 63) <= plain < 1 << 63:
            return int(plain)
        case float() if math.isfinite(plain):
            return float(plain)
        case str() if _is_unicode(plain):
            return str(plain)
    advice = "give None, a bool, an int of 64 bits, a finite float or text"
    hint = f"; {type(value).__name__}s as text, with .isoformat()" if hasattr(value, "isoformat") else ""
    shown = repr(value)
    shown = shown if len(shown) <= 100 else f"{shown[:100]}..."
    raise InvalidArgumentError(f"{what} is {shown}; {advice}{hint}", field=field)


def scalar_message(value: Scalar) -> types_pb2.Value:
    """A scalar as it travels; None is a Value with nothing set."""
    match value:
        case None:
            return types_pb2.Value()
        case bool():
            return types_pb2.Value(bool_value=value)
        case int():
            return types_pb2.Value(int_value=value)
        case float():
            return types_pb2.Value(double_value=value)
        case _:
            return types_pb2.Value(string_value=value)


def metadata_message(metadata: Mapping[str, Any] | None, field: str = "metadata") -> dict[str, types_pb2.Value]:
    """Metadata as it travels: names with scalars or lists (or tuples) of scalars.

    Raises InvalidArgumentError naming the field at fault.
    """
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise InvalidArgumentError(f"{field} is a {type(metadata).__name__}; give a dict of names", field=field)
    return {_name(name, field): _value(value, name, field) for name, value in metadata.items()}


def parse_metadata(message: Mapping[str, types_pb2.Value]) -> Metadata:
    """Metadata as it was given, names in order."""
    return {name: parse_value(message[name]) for name in sorted(message)}


def parse_value(message: types_pb2.Value) -> Scalar | list[Scalar]:
    """A scalar or a list of them."""
    if message.WhichOneof("kind") == "list_value":
        return [_parse_scalar(value) for value in message.list_value.values]
    return _parse_scalar(message)


def _parse_scalar(message: types_pb2.Value) -> Scalar:
    kind = message.WhichOneof("kind")
    value: Scalar = None if kind is None else getattr(message, kind)
    return value


def _name(name: object, field: str) -> str:
    if not isinstance(name, str) or not name or not _is_unicode(name):
        raise InvalidArgumentError(f"{field} has the name {name!r}; names are text that is not empty", field=field)
    return name


def _value(value: Any, name: str, field: str) -> types_pb2.Value:
    several = value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else value
    if isinstance(several, list | tuple):
        scalars = [
            plain_scalar(each, f"{field} {name!r}, element {place}", field) for place, each in enumerate(several)
        ]
        return types_pb2.Value(list_value=types_pb2.ListValue(values=map(scalar_message, scalars)))
    return scalar_message(plain_scalar(value, f"{field} {name!r}", field))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
