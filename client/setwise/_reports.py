"""What became of writes: small frozen values, each of which turns into plain JSON values with `to_dict()`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from setwise._errors import SetwiseError
from setwise._values import CollectionInfo
from setwise_proto.v1 import images_pb2

__all__ = [
    "OUTCOMES",
    "CompactionReport",
    "DeleteReport",
    "Failure",
    "FitReport",
    "Outcome",
    "Progress",
    "SnapshotInfo",
    "UpdateReport",
    "UpsertReport",
]


class Outcome(StrEnum):
    """What became of one image.

    INSERTED: stored, the id was new. REPLACED: stored in the place of the image that had the id. UNCHANGED: it was
    there already. UPDATED: only its metadata is new. REMOVED: deleted. MISSING: there was nothing to delete.
    """

    INSERTED = "inserted"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    UPDATED = "updated"
    REMOVED = "removed"
    MISSING = "missing"


OUTCOMES: Mapping[int, Outcome] = {
    images_pb2.OUTCOME_INSERTED: Outcome.INSERTED,
    images_pb2.OUTCOME_REPLACED: Outcome.REPLACED,
    images_pb2.OUTCOME_UNCHANGED: Outcome.UNCHANGED,
    images_pb2.OUTCOME_UPDATED: Outcome.UPDATED,
    images_pb2.OUTCOME_REMOVED: Outcome.REMOVED,
    images_pb2.OUTCOME_MISSING: Outcome.MISSING,
}
"""The wire's numbers."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One image that was not stored or changed: its number in what was given, from 0, its id, and why."""

    number: int
    id: str
    error: SetwiseError

    def to_dict(self) -> dict[str, Any]:
        """Number, id and the error's facts."""
        return {"number": self.number, "id": self.id, "error": self.error.to_dict()}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upsert or a download has come.

    done, failed: images; 0 in a download. total: images that will be done, or bytes of a download; None when unknown.
    bytes: sent and answered, or received. seconds: since the beginning.
    """

    done: int
    failed: int
    total: int | None
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class UpsertReport:
    """What became of the images of an upsert; all that are counted but `failed` are on disk for good.

    version: of the collection in which the last of them are, the present one when nothing was stored. errors: with
    on_error="collect". seconds: wall time.
    """

    inserted: int
    replaced: int
    unchanged: int
    updated: int
    failed: int
    version: int
    errors: tuple[Failure, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def total(self) -> int:
        """Number of images that were given."""
        return self.inserted + self.replaced + self.unchanged + self.updated + self.failed

    def summary(self) -> str:
        """One line for people."""
        counts = [
            f"{getattr(self, name):,} {name}" for name in ("inserted", "replaced", "updated", "unchanged", "failed")
        ]
        told = [count for count in counts if not count.startswith("0 ")] or ["nothing to do"]
        return f"{', '.join(told)} in {self.seconds:.1f} s; version {self.version}"

    def to_dict(self) -> dict[str, Any]:
        """Every fact by name."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        return facts | {"errors": [failure.to_dict() for failure in self.errors]}


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What became of changes of metadata. version: of the collection in which they are. errors: with "collect"."""

    updated: int
    unchanged: int
    failed: int
    version: int
    errors: tuple[Failure, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Every fact by name."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        return facts | {"errors": [failure.to_dict() for failure in self.errors]}


@dataclass(frozen=True, slots=True)
class DeleteReport:
    """How many images were deleted, the ids that were not there, and the version of the collection without them."""

    deleted: int
    missing: tuple[str, ...]
    version: int

    def to_dict(self) -> dict[str, Any]:
        """Every fact by name."""
        return asdict(self) | {"missing": list(self.missing)}


@dataclass(frozen=True, slots=True)
class FitReport:
    """The collection whose encoder was fitted, and the number of samples that it was fitted to."""

    collection: CollectionInfo
    samples: int

    def to_dict(self) -> dict[str, Any]:
        """Every fact by name."""
        return {"collection": self.collection.to_dict(), "samples": self.samples}


@dataclass(frozen=True, slots=True)
class CompactionReport:
    """What compaction did: segments before and after, deleted images that are no longer on disk, bytes on disk that
    were freed (negative when there are more) and bytes that were written; and the collection as it is now."""

    segments_before: int
    segments_after: int
    dropped: int
    freed_bytes: int
    written_bytes: int
    collection: CollectionInfo

    def to_dict(self) -> dict[str, Any]:
        """Every fact by name."""
        return {name: getattr(self, name) for name in self.__slots__} | {"collection": self.collection.to_dict()}


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """A downloaded snapshot: the collection's name, the version it is of, images, bytes and SHA-256 of the file."""

    name: str
    version: int
    images: int
    bytes: int
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Every fact by name."""
        return asdict(self)
