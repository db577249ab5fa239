"""What a request asks for, in words and numbers that are fit for a log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from google.protobuf.message import Message

__all__ = ["Asked", "asked"]

Asked: TypeAlias = dict[str, str | int | float]

MOST_CHARACTERS = 100
CLOSED = frozenset({"Filter", "MetadataSelector"})
"""Messages of which it is told only that they are there: what they say are callers' own data."""


def asked(request: Message) -> Asked:
    """The fields that are set, those within messages as `outer.inner`. Of bytes, lists and maps it is told how many
    there are: no picture, no features and no metadata come into a log. Text is cut to MOST_CHARACTERS."""
    return dict(_told(request, ""))


def _told(message: Message, above: str) -> Iterator[tuple[str, str | int | float]]:
    for field, value in message.ListFields():
        name = above + field.name
        match value:
            case Message() if value.DESCRIPTOR.name in CLOSED:
                yield name, "given"
            case Message():
                yield from _told(value, f"{name}.")
            case bytes():
                yield name, f"{len(value)} bytes"
            case str():
                yield name, value[:MOST_CHARACTERS]
            case int() if field.enum_type is not None:
                known = field.enum_type.values_by_number.get(value)
                yield name, value if known is None else known.name
            case int() | float():
                yield name, value
            case _:  # a list or a map
                yield name, len(value)
