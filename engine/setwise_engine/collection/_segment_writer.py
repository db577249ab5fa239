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

__all__ = ["ABSENT", "Encoded", "WrittenSegment", "crc32c", "encode", "encoded_tokens", "gate_parts", "write_segment"]

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


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A record with everything that its row of a segment holds. gate: the arrays of the int8 gate by name, or none."""

    record: ImageRecord
    tokens: NDArray[np.float16]
    coarse: NDArray[np.float32]
    square: float
    gate: dict[str, NDArray[Any]]


def encode(records: Sequence[ImageRecord], coarse: Coarse, *, gate: bool) -> list[Encoded]:
    """The records as rows: most of the work of storing them, which needs no lock.

    gate: whether the int8 gate of the tokens is made. Raises FeatureError when tokens leave float16's range.
    """
    tokens = [encoded_tokens(record) for record in records]
    if not tokens:
        return []
    vectors = np.ascontiguousarray(coarse.pool_many(tokens), "<f4")
    return [
        Encoded(record, rows, vector, square(rows), _gate_arrays(rows) if gate else {})
        for record, rows, vector in zip(records, tokens, vectors, strict=True)
    ]


def write_segment(path: Path, rows: Sequence[Encoded], metadata: dict[str, str], disk: Disk) -> WrittenSegment:
    """Writes a segment of at least one row durably.

    metadata: collection and segment; goes into the header beside format and checksums.
    """
    arrays = _arrays(rows) | _gates(rows)
    gate = "gate_crcs" in arrays
    tensors = shapes(
        len(rows),
        int(arrays["offsets"][-1]),
        rows[0].tokens.shape[1],
        len(rows[0].coarse),
        int(arrays["thumbnail_offsets"][-1]),
        gate=gate,
    )
    described = {"format": "setwise-segment", "version": str(SEGMENT_VERSION)} | metadata
    described |= {"gate": str(GATE_VERSION)} if gate else {}
    checksums = {f"crc32c.{name}": f"{crc32c(arrays[name]):08x}" for name in checked_names(gate=gate)}
    header, places = layout(tensors, described | checksums)
    content: dict[str, Sequence[Bytes]] = {name: [array] for name, array in arrays.items()}
    content |= {"tokens": [row.tokens for row in rows], "thumbnails": [row.record.thumbnail for row in rows]}

    digest = hashlib.sha256()
    disk.publish(path, _hashed(_chunks(header, places, content), digest))
    total, thumbnails = tensors["tokens"].shape[0], tensors["thumbnails"].bytes
    size = max(place.start + place.bytes for place in places.values())
    return WrittenSegment(path.name, len(rows), total, thumbnails, size, digest.hexdigest())


def _arrays(rows: Sequence[Encoded]) -> dict[str, NDArray[Any]]:
    nothing = (ABSENT, ABSENT)
    return {
        "offsets": _running_sum([len(row.tokens) for row in rows]),
        "squares": np.array([row.square for row in rows], "<f8"),
        "crcs": np.array([crc32c(row.tokens) for row in rows], "<u4"),
        "grids": np.array([row.record.features.grid or nothing for row in rows], "<i4"),
        "sizes": np.array([row.record.features.image_size or nothing for row in rows], "<i4"),
        "thumbnail_offsets": _running_sum([len(row.record.thumbnail) for row in rows]),
        "coarse": np.stack([row.coarse for row in rows]),
    }


def _gate_arrays(tokens: NDArray[np.float16]) -> dict[str, NDArray[Any]]:
    return gate_parts(gate_of(tokens, np.array([0, len(tokens)], np.int64)))


def _gates(rows: Sequence[Encoded]) -> dict[str, NDArray[Any]]:
    if not rows[0].gate:
        return {}
    crcs = np.array([crc32c(*row.gate.values()) for row in rows], "<u4")
    return {"gate_crcs": crcs} | {name: np.concatenate([row.gate[name] for row in rows]) for name in rows[0].gate}


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
