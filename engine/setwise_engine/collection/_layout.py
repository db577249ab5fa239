"""The byte layout of a segment (docs/format.md): a safetensors file whose arrays can be mapped and used in place.

Data begins at byte 4096 (or a multiple, when the header needs more) and each tensor at a multiple of 64 bytes, counted
from the beginning of the file. safetensors allows no holes, so the padding is tensors of its own, named `_pad<i>`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from setwise_engine.errors import CorruptError, FormatError

__all__ = [
    "ALIGNMENT",
    "BIRTHS_VERSION",
    "GATE_VERSION",
    "PAGE",
    "SEGMENT_VERSION",
    "Tensor",
    "checked_names",
    "gate_shapes",
    "has_births",
    "has_gate",
    "layout",
    "parse",
    "shapes",
]

PAGE = 4096
ALIGNMENT = 64
SEGMENT_VERSION = 1
GATE_VERSION = 1
BIRTHS_VERSION = 1
_DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(code)
    for name, code in {
        "F16": "<f2",
        "F32": "<f4",
        "F64": "<f8",
        "I8": "i1",
        "I32": "<i4",
        "I64": "<i8",
        "U32": "<u4",
        "U8": "u1",
    }.items()
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One array of a segment: dtype as safetensors names it, shape, first byte counted from the file's beginning."""

    dtype: str
    shape: tuple[int, ...]
    start: int = 0

    @property
    def bytes(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.numpy.itemsize

    @property
    def numpy(self) -> np.dtype[Any]:
        """The dtype as numpy has it."""
        return _DTYPES[self.dtype]


def gate_shapes(rows: int, tokens: int, dims: int) -> dict[str, Tensor]:
    """The arrays of the int8 gate, in the order in which they lie in the file."""
    return {
        "gate_crcs": Tensor("U32", (rows,)),
        "gate_means": Tensor("F32", (rows, dims)),
        "gate_scales": Tensor("F32", (tokens,)),
        "gate_errors": Tensor("F32", (tokens,)),
        "gate_norms": Tensor("F32", (tokens,)),
        "gate_sums": Tensor("I32", (tokens,)),
        "gate_codes": Tensor("I8", (tokens, dims)),
    }


def shapes(
    rows: int, tokens: int, dims: int, coarse: int, thumbnail_bytes: int, *, gate: bool = False, births: bool = False
) -> dict[str, Tensor]:
    """The arrays of a segment, in the order in which they lie in the file."""
    return {
        "offsets": Tensor("I64", (rows + 1,)),
        "squares": Tensor("F64", (rows,)),
        "crcs": Tensor("U32", (rows,)),
        **({"births": Tensor("I64", (rows,))} if births else {}),
        "grids": Tensor("I32", (rows, 2)),
        "sizes": Tensor("I32", (rows, 2)),
        "thumbnail_offsets": Tensor("I64", (rows + 1,)),
        "coarse": Tensor("F32", (rows, coarse)),
        **(gate_shapes(rows, tokens, dims) if gate else {}),
        "tokens": Tensor("F16", (tokens, dims)),
        "thumbnails": Tensor("U8", (thumbnail_bytes,)),
    }


def checked_names(*, gate: bool, births: bool = False) -> tuple[str, ...]:
    """The arrays whose CRC32C stands in the header.

    Tokens and gate have one per row, thumbnails only the file's SHA-256.
    """
    names = ("offsets", "squares", "crcs", "grids", "sizes", "thumbnail_offsets", "coarse")
    return (*names, *(["births"] if births else []), *(["gate_crcs"] if gate else []))


def has_gate(metadata: dict[str, str]) -> bool:
    """Whether a segment has a gate that this release knows; one of another version is passed over."""
    return metadata.get("gate") == str(GATE_VERSION)


def has_births(metadata: dict[str, str]) -> bool:
    """Whether a segment names the births of its rows; without them each row was born where it lies."""
    return metadata.get("births") == str(BIRTHS_VERSION)


def layout(tensors: dict[str, Tensor], metadata: dict[str, str]) -> tuple[bytes, dict[str, Tensor]]:
    """The file's first bytes (length, header, spaces) and every tensor with its place, padding included."""
    places: dict[str, Tensor] = {}
    end = 0
    for name, tensor in tensors.items():
        gap = -end % ALIGNMENT
        if gap:
            places[f"_pad{len(places)}"] = Tensor("U8", (gap,), end)
        places[name] = Tensor(tensor.dtype, tensor.shape, end + gap)
        end += gap + tensor.bytes
    header: dict[str, Any] = {"__metadata__": metadata}
    for name, tensor in places.items():
        offsets = [tensor.start, tensor.start + tensor.bytes]
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % PAGE)
    base = 8 + len(text)
    return len(text).to_bytes(8, "little") + text, {
        n: Tensor(t.dtype, t.shape, base + t.start) for n, t in places.items()
    }


def parse(header: bytes, size: int, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a segment and its metadata from its header (JSON); `size` is the file's, in bytes.

    Raises FormatError for an unknown version and CorruptError when the header cannot be right, both naming the file.
    """
    try:
        document = json.loads(header)
        metadata: dict[str, str] = document.pop("__metadata__")
        version = int(metadata["version"])
        base = 8 + len(header)
        # A later release may add arrays; what it may not do is change these.
        known = shapes(0, 0, 0, 0, 0, gate=has_gate(metadata), births=has_births(metadata))
        tensors = {key: _tensor(document[key], base) for key in known} if version == SEGMENT_VERSION else {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptError(f"segment {name} has a damaged header ({error}); restore it from a backup") from error
    if version != SEGMENT_VERSION:
        message = f"segment {name} has version {version}, this release knows version {SEGMENT_VERSION}"
        raise FormatError(f"{message}; install a newer setwise to read it")
    if any(t.start < base or t.start % t.numpy.itemsize or t.start + t.bytes > size for t in tensors.values()):
        raise CorruptError(f"segment {name} has tensors outside the file; restore it from a backup")
    return tensors, metadata


def _tensor(entry: dict[str, Any], base: int) -> Tensor:
    first, last = entry["data_offsets"]
    tensor = Tensor(entry["dtype"], tuple(int(side) for side in entry["shape"]), base + int(first))
    if any(side < 0 for side in tensor.shape) or tensor.bytes != last - first:
        raise ValueError("a shape does not fit its bytes")
    return tensor
