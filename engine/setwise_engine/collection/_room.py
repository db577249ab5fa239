"""How many bytes the images of a collection take, on disk and in memory, and how many more of them will."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from setwise_engine.collection._catalog import POOL_SIZE, WRITER_CACHE_BYTES
from setwise_engine.collection._index import Index
from setwise_engine.collection._index_build import FACTORIES
from setwise_engine.collection._info import bytes_by_kind
from setwise_engine.collection._matching import KEPT_BYTES
from setwise_engine.collection._recall import DUE_ROWS, DUE_SHARE, Recall
from setwise_engine.collection._scan import COPIED_BYTES
from setwise_engine.collection._types import Room, Settings

__all__ = ["Measured", "forecast", "measure"]

# Bytes of arrays: of a row its place, span and marks; of an image its key and birth, its place in the index and
# whether it is there, and its key once more where it is scanned. Tests hold them to what is there.
_ROW, _IMAGE, _DEAD = 26, 34, 8
_BIRTH = 8  # of a row of the index
_ROW_ON_DISK = 56  # offsets, norm, checksums, grid, size and birth
_SEGMENT = 12 << 10  # of a mapped segment's Python objects, measured with tracemalloc
_SEGMENT_ROWS, _SEGMENT_BYTES, _HEADER = 16 << 10, 256 << 20, 8 << 10  # what compaction makes of many small ones
_CATALOG_IMAGE = 120  # bytes of an image in the catalog besides its id and metadata, at least
_ENOUGH_IMAGES = 1000  # before that, the catalog's pages are mostly empty


@dataclass(frozen=True, slots=True)
class Measured:
    """What a forecast is made from. room: of the images there are; rows: stored, dead ones included.

    coarse: numbers in a coarse vector. caches: bytes that SQLite keeps, at most. catalog: bytes of the pages that hold
    images. index: the present one.
    """

    room: Room
    rows: int
    images: int
    coarse: int
    caches: int
    catalog: int
    index: Index | None


def measure(connection: sqlite3.Connection, folder: Path, recall: Recall, settings: Settings, coarse: int) -> Measured:
    """Counts what is there, by the connection's transaction, which the view was made from."""
    view = recall.view
    rows = sum(entry.rows for entry in view.entries.values())
    disk = bytes_by_kind(folder, recall, settings, coarse=coarse)
    fresh = (view.images - recall.covered()) * coarse * 4
    caches = POOL_SIZE * min(_cache_size(connection), disk["catalog"]) + min(WRITER_CACHE_BYTES, disk["catalog"])
    memory = {
        "images": _ROW * rows + _IMAGE * view.images + _DEAD * len(view.dead),
        "segments": _SEGMENT * len(view.entries),
        "caches": caches + min(COPIED_BYTES, fresh) + KEPT_BYTES,
    }
    room = Room(disk, memory, {"index": disk["index"], "coarse": fresh})
    return Measured(room, rows, view.images, coarse, caches, _catalog_content(connection, view.images), recall.index)


def forecast(now: Measured, more: int) -> Room | None:
    """The bytes that `more` images will take, if they are like those there; None when there are none.

    Of what they leave in caches nothing is counted: caches have bounds.
    """
    if not now.rows or not now.images:
        return None
    disk = {kind: more * now.room.disk[kind] // now.rows for kind in ("tokens", "gate", "coarse", "thumbnails")}
    segments = max(math.ceil(more / _SEGMENT_ROWS), math.ceil(sum(disk.values()) / _SEGMENT_BYTES))
    disk["other"] = more * _ROW_ON_DISK + segments * _HEADER
    disk["catalog"] = more * now.catalog // now.images
    images = now.images + more
    disk["index"] = max(0, _index_bytes(now, images) - now.room.disk["index"])
    fresh = max(DUE_ROWS, round(DUE_SHARE * images)) * 4 * now.coarse
    return Room(
        disk=disk,
        memory={"images": (_ROW + _IMAGE) * more, "segments": segments * _SEGMENT},
        mapped={"index": disk["index"], "coarse": max(0, fresh - now.room.mapped["coarse"])},
    )


def _index_bytes(now: Measured, images: int) -> int:
    """Bytes of the index over so many images: as the number of them has it, or as somebody asked for."""
    if now.index is not None and now.index.sidecar.asked and len(now.index):
        return images * now.room.disk["index"] // len(now.index)
    text = next(text for limit, text in FACTORIES if images <= limit)
    codes = now.coarse if "SQ8" in text else 4 * now.coarse
    lists = round(4 * math.sqrt(images)) if "IVF" in text else 0
    return images * (codes + _BIRTH + (_BIRTH if lists else 0)) + lists * 4 * now.coarse


def _catalog_content(connection: sqlite3.Connection, images: int) -> int:
    """Bytes of the catalog's pages that hold images and what filters need: less one page for each table and index.

    Of few images, where these pages would be most, what their ids and metadata come to.
    """
    pages, size = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size"))
    (trees,) = connection.execute("SELECT count(*) FROM sqlite_master WHERE rootpage > 0").fetchone()
    if images >= _ENOUGH_IMAGES:
        return (pages - int(trees) - 1) * size
    text = "SELECT coalesce(sum(2 * length(id) + 2.5 * length(metadata)), 0) FROM images"
    return int(connection.execute(text).fetchone()[0]) + images * _CATALOG_IMAGE


def _cache_size(connection: sqlite3.Connection) -> int:
    """Bytes of pages that a connection keeps, at most."""
    size, page = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("cache_size", "page_size"))
    return size * page if size > 0 else -size << 10
