"""What `Collection.write` takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from setwise_engine.collection._metadata import MetadataValue
from setwise_engine.collection._types import ImageRecord
from setwise_engine.errors import EngineError

__all__ = ["Change", "Mode", "Outcome", "Put", "Remove", "SetMetadata", "Written"]


class Mode(StrEnum):
    """Whether an image may be new, or must be, or must not be."""

    UPSERT = "upsert"
    INSERT = "insert"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class Put:
    """Store an image. One that is stored with the same, not empty, content hash keeps its features.

    keep_metadata: an image that is there keeps its metadata; the record's is that of a new one.
    """

    record: ImageRecord
    mode: Mode = Mode.UPSERT
    keep_metadata: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete an image."""

    id: str


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """Change an image's metadata and leave its features as they are.

    The given names are set, those in `remove` dropped, others stay; with `replace` the image has exactly what is given.
    """

    id: str
    metadata: Mapping[str, MetadataValue]
    replace: bool = False
    remove: tuple[str, ...] = ()


Change = Put | Remove | SetMetadata


class Outcome(StrEnum):
    """What became of a change."""

    INSERTED = "inserted"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    """It was so already."""
    UPDATED = "updated"
    """Only what is noted of the image has changed: its metadata, or where it came from."""
    REMOVED = "removed"
    MISSING = "missing"
    """There was no such image to remove."""


@dataclass(frozen=True, slots=True)
class Written:
    """The version that holds the changes, and for each, in order, its outcome or why it was not made."""

    version: int
    results: tuple[Outcome | EngineError, ...]
