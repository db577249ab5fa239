"""The values that go into a collection and come out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from setwise_engine.coarse import DEFAULT_COARSE
from setwise_engine.collection._metadata import MetadataValue
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize

__all__ = [
    "Candidate",
    "CollectionInfo",
    "Compaction",
    "ImageRecord",
    "IndexInfo",
    "Known",
    "Room",
    "ScrubProblem",
    "SegmentEntry",
    "Settings",
    "SnapshotInfo",
    "Source",
    "StoredImage",
    "VerifyReport",
]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a collection was made with; fixed at creation.

    model, image_size, model_fingerprint: the network; "" and 0 for ready-made feature sets.
    dims: numbers in an encoded token. encoder_fingerprint: of the one encoder that all sets passed through.
    coarse: kind of the coarse vectors, see `setwise_engine.coarse`. thumbnails: whether the indexer makes them.
    gate: whether segments get an int8 gate (`setwise_engine.matching.gate`), half as large as the tokens: what makes
    searches fast. Answers are the same without it.
    """

    model: str
    image_size: int
    model_fingerprint: str
    dims: int
    encoder_fingerprint: str
    coarse: str = DEFAULT_COARSE
    thumbnails: bool = True
    gate: bool = True


@dataclass(frozen=True, slots=True)
class Source:
    """Where an image came from: path, bytes and modification time (ns), by which an unchanged file is recognised."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class ImageRecord:
    """One image to store.

    id: 1 to 1000 characters. features: encoded. content_hash: hex BLAKE2b-128 of the file's bytes, "" when unknown.
    thumbnail: JPEG bytes, b"" for none.
    """

    id: str
    features: FeatureSet
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    content_hash: str = ""
    source: Source | None = None
    thumbnail: bytes = b""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a stored image without touching its features."""

    source: Source | None
    content_hash: str
    metadata: dict[str, MetadataValue]


class Candidate(NamedTuple):
    """A recalled image: its key and the inner product of the coarse vectors."""

    key: int
    coarse: float


@dataclass(frozen=True, slots=True)
class StoredImage:
    """What an answer shows of an image. tokens: their number. thumbnail: JPEG bytes, b"" when absent or not asked."""

    id: str
    metadata: dict[str, MetadataValue]
    image_size: ImageSize | None
    grid: Grid | None
    tokens: int
    thumbnail: bytes


class SegmentEntry(NamedTuple):
    """A segment as the catalog has it."""

    id: int
    file: str
    rows: int
    tokens: int
    thumbnail_bytes: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """A FAISS index: the catalog version it was made from, its rows, its `index_factory` string and its bytes."""

    version: int
    rows: int
    factory: str
    bytes: int


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What a collection holds.

    images: live ones; dead_rows: replaced or deleted, still on disk. indexed: live images that the FAISS index covers.
    bytes: on disk by kind (tokens, gate, coarse, thumbnails, other, catalog, encoder, index). created: ISO 8601, UTC.
    """

    name: str
    uuid: str
    path: str
    format_version: int
    created: str
    version: int
    settings: Settings
    sigma: float
    images: int
    tokens: int
    dead_rows: int
    segments: int
    indexed: int
    index: IndexInfo | None
    bytes: dict[str, int]

    @property
    def total_bytes(self) -> int:
        """Bytes on disk over all kinds."""
        return sum(self.bytes.values())


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """Whether every byte is right. problems: one sentence each; images and bytes: how many were checked."""

    ok: bool
    problems: list[str]
    images: int
    bytes: int


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """A snapshot as a file: its bytes and SHA-256, the catalog version in it and the number of images."""

    bytes: int
    sha256: str
    version: int
    images: int


@dataclass(frozen=True, slots=True)
class ScrubProblem:
    """A file that is not what was written. message: a sentence; index: the file is derived and can be built anew."""

    file: str
    message: str
    index: bool = False

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Room:
    """What images take, in bytes by kind.

    disk: on disk. memory: what each process that has the collection open holds (`caches`: at most, once they are full).
    mapped: of files, what every search reads: best kept in memory, but given back to the system when that is short.
    """

    disk: dict[str, int]
    memory: dict[str, int]
    mapped: dict[str, int]


@dataclass(frozen=True, slots=True)
class Compaction:
    """What compaction did.

    segments, bytes: live segments and the bytes of their files, before and after. dropped: deleted or replaced rows
    that are no longer on disk. bytes_written: in new segments. steps: commits. problems: what was left alone and why.
    """

    segments_before: int
    segments_after: int
    bytes_before: int
    bytes_after: int
    dropped: int
    bytes_written: int
    steps: int
    seconds: float
    problems: tuple[str, ...] = ()
