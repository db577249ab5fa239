"""Records to the bytes of a segment, written in one pass without gathering the tokens."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from setwise_engine.coarse import Coarse
from setwise_engine.collection._durable import Bytes, Disk
from setwise_engine.collection._layout import GATE_VERSION, SEGMENT_VERSION, Tensor, checked_names, layout, shapes
from setwise_engine.collection._types import ImageRecord
from setwise_engine.errors import FeatureError
from setwise_engine.matching import Gate, square
from setwise_engine.matching import gate as gate_of

__all__ = ["ABSENT", "WrittenSegment", "crc32c", "encoded_tokens", "gate_parts", "write_segment"]

ABSENT = -1
"""Stands in `grids` and `sizes` where a record has none."""


@dataclass(frozen=True, slots=True)
class WrittenSegment:
    """What the catalog notes of a segment."""

    file: str
    rows: int
    tokens: int
    thumbnail_bytes: int
    bytes: int
    sha256: str


def crc32c(*arrays: NDArray[Any]) -> int:
    """CRC32C (Castagnoli) of the bytes of C-contiguous arrays, one after the other."""
    checksum = 0
    for array in arrays:
        checksum = google_crc32c.extend(checksum, array)
    return int(checksum)


def gate_parts(gate: Gate) -> dict[str, NDArray[Any]]:
    """The gate's arrays by their names in a segment, in the order in which a row's checksum goes over them."""
    return {f"gate_{part.name}": getattr(gate, part.name) for part in dataclasses.fields(gate)}


def encoded_tokens(record: ImageRecord) -> NDArray[np.float16]:
    """The record's tokens as they are stored. Raises FeatureError when they leave float16's range."""
    tokens = record.features.tokens
    if tokens.dtype == np.float16:
        return tokens
    with np.errstate(over="ignore"):
        rounded = tokens.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise FeatureError(f"tokens of image {record.id!r} exceed the range of float16; scale them", field="tokens")
    return rounded


def write_segment(
    path: Path, records: Sequence[ImageRecord], coarse: Coarse, metadata: dict[str, str], disk: Disk, *, gate: bool
) -> WrittenSegment:
    """Writes a segment durably; `metadata` (collection, segment) goes into its header beside format and checksums.

    gate: whether the int8 gate of the tokens is stored.
    """
    tokens = [encoded_tokens(record) for record in records]
    arrays = _arrays(records, tokens, coarse) | (_gate_arrays(tokens) if gate else {})
    tensors = shapes(
        len(records),
        int(arrays["offsets"][-1]),
        tokens[0].shape[1],
        coarse.dims,
        int(arrays["thumbnail_offsets"][-1]),
        gate=gate,
    )
    described = {"format": "setwise-segment", "version": str(SEGMENT_VERSION)} | metadata
    described |= {"gate": str(GATE_VERSION)} if gate else {}
    checksums = {f"crc32c.{name}": f"{crc32c(arrays[name]):08x}" for name in checked_names(gate=gate)}
    header, places = layout(tensors, described | checksums)
    content: dict[str, Sequence[Bytes]] = {name: [array] for name, array in arrays.items()}
    content |= {"tokens": tokens, "thumbnails": [record.thumbnail for record in records]}

    digest = hashlib.sha256()
    disk.publish(path, _hashed(_chunks(header, places, content), digest))
    total, thumbnails = tensors["tokens"].shape[0], tensors["thumbnails"].bytes
    size = max(place.start + place.bytes for place in places.values())
    return WrittenSegment(path.name, len(records), total, thumbnails, size, digest.hexdigest())


def _arrays(
    records: Sequence[ImageRecord], tokens: Sequence[NDArray[np.float16]], coarse: Coarse
) -> dict[str, NDArray[Any]]:
    nothing = (ABSENT, ABSENT)
    return {
        "offsets": _running_sum([len(rows) for rows in tokens]),
        "squares": np.array([square(rows) for rows in tokens], "<f8"),
        "crcs": np.array([crc32c(rows) for rows in tokens], "<u4"),
        "grids": np.array([record.features.grid or nothing for record in records], "<i4"),
        "sizes": np.array([record.features.image_size or nothing for record in records], "<i4"),
        "thumbnail_offsets": _running_sum([len(record.thumbnail) for record in records]),
        "coarse": np.ascontiguousarray(coarse.pool_many(tokens), "<f4"),
    }


def _gate_arrays(tokens: Sequence[NDArray[np.float16]]) -> dict[str, NDArray[Any]]:
    gates = [gate_parts(gate_of(rows, np.array([0, len(rows)], np.int64))) for rows in tokens]
    crcs = np.array([crc32c(*parts.values()) for parts in gates], "<u4")
    return {"gate_crcs": crcs} | {name: np.concatenate([parts[name] for parts in gates]) for name in gates[0]}


def _running_sum(lengths: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype("<i8")


def _chunks(header: bytes, places: dict[str, Tensor], content: dict[str, Sequence[Bytes]]) -> Iterator[Bytes]:
    yield header
    for name, place in places.items():
        yield from content.get(name, [bytes(place.bytes)])


def _hashed(chunks: Iterator[Bytes], digest: Any) -> Iterator[Bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
