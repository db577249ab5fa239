"""Changes that keep a case well formed, so that it gets past the parser: of messages, JSON, words, binary files."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, MutableSequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

__all__ = ["Grammar", "block_grammar", "json_grammar", "message_grammar", "word_grammar"]

Grammar = Callable[[bytes, random.Random], bytes]
"""Gives a changed copy of a case."""

TEXTS = [
    "",
    "a",
    "c",
    "year",
    "camera",
    "tags",
    "no",
    "x" * 300,
    "ü\U0001f600",
    "nul\0",
    "'; DROP TABLE images; --",
    "../x",
]
NUMBERS = [0, 1, 2, 3, 5, 7, 8, 100, 255, 256, 1000, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**64 - 1]
DOUBLES = [0.0, -0.0, 0.5, -1.5, 1e300, 5e-324, float("inf"), float("-inf"), float("nan"), 2.0**63]
_RANGES = {
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SINT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_ENUM: (-2, 12),
}
DEEPEST = 80
_JSON = [None, True, False, 0, 1, -1, 2**63, 1e308, 0.5, "", "x", "../x", [], {}, [[]], "0" * 64, 10**400]


def message_grammar(kind: Callable[[bytes], Callable[[], Message]], skip: int = 0) -> Grammar:
    """Changes some fields of a message, after the first `skip` bytes. kind: which message it is, of the whole case."""

    def change(data: bytes, rng: random.Random) -> bytes:
        message = kind(data)()
        try:
            message.ParseFromString(data[skip:])
        except DecodeError:
            return data
        for _ in range(rng.randrange(1, 4)):
            _change(rng.choice(list(_parts(message))), rng)
        return data[:skip] + message.SerializeToString()

    return change


def _parts(message: Message, depth: int = 0) -> Iterator[Message]:
    """The message and all within it."""
    yield message
    if depth < DEEPEST:
        for field, value in message.ListFields():
            if field.message_type is not None and not field.message_type.GetOptions().map_entry:
                for one in value if isinstance(value, MutableSequence) else [value]:
                    yield from _parts(one, depth + 1)


def _change(message: Message, rng: random.Random) -> None:
    field = rng.choice(message.DESCRIPTOR.fields or [None])
    if field is None:
        return
    if rng.random() < 0.15:
        message.ClearField(field.name)
        return
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _change_map(value, field.message_type.fields_by_name["value"], rng)
    elif isinstance(value, MutableSequence):
        _change_list(value, field, rng)
    elif field.message_type is not None:
        value.SetInParent()
        _change(value, rng)
    else:
        setattr(message, field.name, _scalar(field, value, rng))


def _change_list(values: Any, field: FieldDescriptor, rng: random.Random) -> None:
    if len(values) > 200 or (len(values) and rng.random() < 0.2):
        del values[rng.randrange(len(values))]
    elif field.message_type is None:
        values.append(_scalar(field, values[-1] if len(values) else None, rng))
    elif len(values) and rng.random() < 0.5:
        values.add().CopyFrom(rng.choice(values))
    else:
        _change(values.add(), rng)


def _change_map(values: Any, field: FieldDescriptor, rng: random.Random) -> None:
    key = rng.choice(TEXTS + list(values))
    if field.message_type is not None:
        _change(values[key], rng)
    else:
        values[key] = _scalar(field, None, rng)


def _scalar(field: FieldDescriptor, now: Any, rng: random.Random) -> Any:
    if field.type in _RANGES:
        low, high = _RANGES[field.type]
        number = rng.choice(NUMBERS) if rng.random() < 0.7 else rng.randrange(low, high + 1)
        return max(low, min(high, -number if low < 0 and rng.random() < 0.3 else number))
    match field.type:
        case FieldDescriptor.TYPE_BOOL:
            return rng.random() < 0.5
        case FieldDescriptor.TYPE_DOUBLE | FieldDescriptor.TYPE_FLOAT:
            return rng.choice(DOUBLES) if rng.random() < 0.7 else rng.uniform(-1000, 1000)
        case FieldDescriptor.TYPE_STRING:
            return rng.choice(TEXTS)
        case _:
            return _bytes(bytes(now or b""), rng)


def _bytes(now: bytes, rng: random.Random) -> bytes:
    match rng.randrange(4):
        case 0:
            return rng.randbytes(rng.randrange(65))
        case 1:
            return now[: rng.randrange(len(now) + 1)]
        case 2:
            return now + now[: rng.randrange(65)]
        case _:
            at = rng.randrange(len(now) + 1)
            return now[:at] + rng.choice((b"\xff\xff", b"\x00\x7c", b"\x00\x00\x80\x7f", b"\0\0\0\0")) + now[at + 2 :]


def json_grammar(skip: int = 0) -> Grammar:
    """Changes some values of a JSON document, after the first `skip` bytes."""

    def change(data: bytes, rng: random.Random) -> bytes:
        try:
            document = json.loads(data[skip:])
        except (ValueError, RecursionError):
            return data
        for _ in range(rng.randrange(1, 4)):
            document = _changed(document, rng)
        return data[:skip] + json.dumps(document).encode()

    return change


def _changed(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        if rng.random() < 0.15:
            return {name: one for name, one in value.items() if name != key}
        return value | {key if rng.random() < 0.9 else rng.choice(TEXTS): _changed(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return value[:at] + [_changed(value[at], rng)] * rng.randrange(3) + value[at + 1 :]
    if isinstance(value, int) and rng.random() < 0.5:
        return value + rng.choice((-1, 1, 8, -(2**40), 2**40))
    return rng.choice(_JSON)


def word_grammar(words: list[bytes]) -> Grammar:
    """Puts words of the language somewhere, or in the place of others."""

    def change(data: bytes, rng: random.Random) -> bytes:
        pieces = data.split(b" ")
        for _ in range(rng.randrange(1, 5)):
            at = rng.randrange(len(pieces) + 1)
            pieces[at : at + rng.randrange(3)] = rng.choices(words, k=rng.randrange(1, 3))
        return b" ".join(pieces)

    return change


def block_grammar() -> Grammar:
    """Writes other numbers over a few places of a file, or copies one place over another; all else stays in place."""

    def change(data: bytes, rng: random.Random) -> bytes:
        changed = bytearray(data)
        for _ in range(rng.randrange(1, 5)):
            size = min(rng.choice((1, 1, 2, 4, 8, 64)), len(data))
            at = rng.randrange(len(data) - size + 1)
            at -= at % size if size and rng.random() < 0.7 else 0
            kind = rng.random()
            if kind < 0.4:
                there = rng.randrange(len(data) - size + 1)
                changed[at : at + size] = data[there : there + size]
            elif kind < 0.8:
                number = rng.choice((0, 1, -1, 2, 127, -128, 255, 2**31 - 1, 2**31, 2**62))
                changed[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, rng.choice(("little", "big")))
            else:
                changed[at : at + size] = rng.randbytes(size)
        return bytes(changed)

    return change
