"""What a collection holds, counted."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from setwise_engine.collection._layout import gate_shapes
from setwise_engine.collection._recall import Recall
from setwise_engine.collection._schema import CATALOG_FILE
from setwise_engine.collection._types import CollectionInfo, IndexInfo, SegmentEntry, Settings

if TYPE_CHECKING:
    from setwise_engine.collection._collection import Collection

__all__ = ["bytes_by_kind", "collection_info", "count_tokens", "index_info"]


def collection_info(connection: sqlite3.Connection, collection: Collection, recall: Recall) -> CollectionInfo:
    """What a collection holds, by the connection's transaction, which the recall's view was made from."""
    view = recall.view
    return CollectionInfo(
        name=collection.name,
        uuid=collection.uuid,
        path=str(collection.path),
        format_version=view.format,
        created=collection.created,
        version=view.version,
        settings=collection.settings,
        sigma=collection.encoder.sigma,
        images=view.images,
        tokens=count_tokens(connection),
        dead_rows=len(view.dead),
        segments=len(view.entries),
        indexed=recall.covered(),
        index=index_info(recall),
        bytes=bytes_by_kind(collection.path, recall, collection.settings, coarse=collection.coarse.dims),
    )


def index_info(recall: Recall) -> IndexInfo | None:
    """The index in use."""
    if recall.index is None:
        return None
    sidecar = recall.index.sidecar
    return IndexInfo(sidecar.version, sidecar.rows, sidecar.factory, sidecar.bytes)


def count_tokens(connection: sqlite3.Connection) -> int:
    """Tokens of all live images."""
    return int(connection.execute("SELECT coalesce(sum(tokens), 0) FROM images").fetchone()[0])


def bytes_by_kind(folder: Path, recall: Recall, settings: Settings, *, coarse: int) -> dict[str, int]:
    """Bytes on disk: what the segments are made of, dead rows included, and the other files."""
    entries = recall.view.entries.values()
    tokens = sum(entry.tokens for entry in entries) * settings.dims * 2
    gates = sum(_gate_bytes(entry, settings.dims) for entry in entries) if settings.gate else 0
    vectors = sum(entry.rows for entry in entries) * coarse * 4
    thumbnails = sum(entry.thumbnail_bytes for entry in entries)
    return {
        "tokens": tokens,
        "gate": gates,
        "coarse": vectors,
        "thumbnails": thumbnails,
        "other": sum(entry.bytes for entry in entries) - tokens - gates - vectors - thumbnails,
        "catalog": sum(_size(folder / f"{CATALOG_FILE}{suffix}") for suffix in ("", "-wal")),
        "encoder": _size(folder / "encoder.safetensors"),
        "index": recall.index.sidecar.bytes + 8 * len(recall.index) if recall.index else 0,
    }


def _gate_bytes(entry: SegmentEntry, dims: int) -> int:
    return sum(tensor.bytes for tensor in gate_shapes(entry.rows, entry.tokens, dims).values())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
