"""Collections on disk: crash-safe appends, memory-mapped reads, coarse recall (docs/format.md)."""

from setwise_engine.collection._change import Change, Mode, Outcome, Put, Remove, SetMetadata, Written
from setwise_engine.collection._collection import Collection
from setwise_engine.collection._durable import Disk
from setwise_engine.collection._lock import WriterLock
from setwise_engine.collection._metadata import MetadataScalar, MetadataValue, check_id, check_metadata
from setwise_engine.collection._restore import restore
from setwise_engine.collection._schema import FORMAT_VERSION
from setwise_engine.collection._scrub import Scrub
from setwise_engine.collection._snapshot import Snapshot
from setwise_engine.collection._snapshot_tar import SnapshotTar, snapshot_tar, write_snapshot
from setwise_engine.collection._types import (
    Candidate,
    CollectionInfo,
    Compaction,
    ImageRecord,
    IndexInfo,
    Known,
    Room,
    ScrubProblem,
    Settings,
    SnapshotInfo,
    Source,
    StoredImage,
    VerifyReport,
)
from setwise_engine.collection._verify import verify_folder

__all__ = [
    "FORMAT_VERSION",
    "Candidate",
    "Change",
    "Collection",
    "CollectionInfo",
    "Compaction",
    "Disk",
    "ImageRecord",
    "IndexInfo",
    "Known",
    "MetadataScalar",
    "MetadataValue",
    "Mode",
    "Outcome",
    "Put",
    "Remove",
    "Room",
    "Scrub",
    "ScrubProblem",
    "SetMetadata",
    "Settings",
    "Snapshot",
    "SnapshotInfo",
    "SnapshotTar",
    "Source",
    "StoredImage",
    "VerifyReport",
    "WriterLock",
    "Written",
    "check_id",
    "check_metadata",
    "restore",
    "snapshot_tar",
    "verify_folder",
    "write_snapshot",
]
