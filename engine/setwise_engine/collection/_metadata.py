"""What an id and an image's metadata may be."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from setwise_engine.errors import CorruptError, InvalidInput

__all__ = [
    "MAX_ID_CHARACTERS",
    "MAX_METADATA_BYTES",
    "MetadataScalar",
    "MetadataValue",
    "check_id",
    "check_metadata",
    "is_unicode",
    "read_metadata",
]

MetadataScalar = bool | int | float | str | None
MetadataValue = MetadataScalar | list[MetadataScalar]

MAX_ID_CHARACTERS = 1000
MAX_METADATA_BYTES = 1 << 20


def check_id(id: str) -> str:
    """The id itself, if it can be stored: 1 to 1000 characters of any script, no NUL, no lone surrogate.

    Raises InvalidInput.
    """
    if not isinstance(id, str):
        raise InvalidInput(f"id {id!r} is of type {type(id).__name__}; give a string", field="id")
    if not 1 <= len(id) <= MAX_ID_CHARACTERS:
        raise InvalidInput(f"id {_short(id)} has {len(id)} characters; give 1 to {MAX_ID_CHARACTERS}", field="id")
    if "\0" in id or not is_unicode(id):
        raise InvalidInput(f"id {_short(id)} holds NUL or a lone surrogate; give text that UTF-8 can carry", field="id")
    return id


def check_metadata(metadata: Mapping[str, MetadataValue], name: str) -> str:
    """The metadata of the image `name` as the JSON text to be stored, keys in their given order.

    Values are null, booleans, 64-bit integers, finite floats, strings, or lists of these; at most 1 MiB as JSON.
    Raises InvalidInput naming the image and the key.
    """
    for key, value in metadata.items():
        if not isinstance(key, str) or not key or not is_unicode(key):
            raise InvalidInput(
                f"metadata key {key!r} of image {_short(name)} must be text, not empty", field="metadata"
            )
        for item in value if isinstance(value, list) else [value]:
            problem = _problem(item)
            if problem:
                raise InvalidInput(f"metadata {key!r} of image {_short(name)} {problem}", field="metadata")
    text = json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    size = len(text.encode())
    if size > MAX_METADATA_BYTES:
        message = f"metadata of image {_short(name)} is {size} bytes as JSON; keep it within {MAX_METADATA_BYTES}"
        raise InvalidInput(message, field="metadata")
    return text


def read_metadata(text: str, name: str) -> dict[str, MetadataValue]:
    """The stored metadata of the image `name`. Raises CorruptError naming it when the text is damaged."""
    try:
        metadata = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise CorruptError(f"metadata of image {_short(name)} is damaged ({error}); restore the catalog") from error
    if not isinstance(metadata, dict):
        raise CorruptError(f"metadata of image {_short(name)} is no JSON object; restore the catalog from a backup")
    return metadata


def _problem(item: object) -> str:
    match item:
        case None | bool():
            return ""
        case int():
            return "" if -(1 << 63) <= item < 1 << 63 else "is an integer beyond 64 bits; give it as text"
        case float():
            return "" if math.isfinite(item) else f"is {item}; give a finite number or null"
        case str():
            return "" if is_unicode(item) else "holds a lone surrogate; give text that UTF-8 can carry"
        case _:
            return f"holds a {type(item).__name__}; give null, booleans, numbers, text, or a list of these"


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can carry the text: it has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
