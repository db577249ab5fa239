"""The encoder's file: one safetensors container whose metadata holds a version and a fingerprint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from setwise_engine.errors import CorruptError, FormatError

__all__ = ["FORMAT_VERSION", "Contents", "read_contents", "write_contents"]

FORMAT_VERSION = 1
_KIND = "setwise-encoder"
_MAX_HEADER = 1 << 20


@dataclass(frozen=True, slots=True)
class Contents:
    """Numbers and names (`header`) and float32 arrays of an encoder file."""

    header: Mapping[str, Any]
    arrays: Mapping[str, NDArray[np.float32]]

    def check(self, fingerprint: str, name: str) -> None:
        """Raise CorruptError unless the file `name` was written with this fingerprint."""
        if self.header.get("fingerprint") != fingerprint:
            raise CorruptError(
                f"{name} is damaged: its contents have fingerprint {fingerprint}, "
                f"but {self.header.get('fingerprint')} was written; restore it from a copy"
            )


def write_contents(contents: Contents) -> bytes:
    """Bytes of the file. All metadata stands in one entry: safetensors keeps no order between several."""
    header = {"kind": _KIND, "version": FORMAT_VERSION, **contents.header}
    return bytes(save(dict(contents.arrays), metadata={"setwise": json.dumps(header, sort_keys=True)}))


def read_contents(data: bytes, name: str) -> Contents:
    """Parse the bytes of the file `name`; raises FormatError when they are not ours or of an unknown version."""
    header = _header(data)
    if header.get("kind") != _KIND:
        raise FormatError(f"{name} is not an encoder file of Setwise")
    if header.get("version") != FORMAT_VERSION:
        raise FormatError(
            f"{name} has encoder format version {header.get('version')}, this release reads {FORMAT_VERSION}; "
            "use a newer release of Setwise"
        )
    try:
        arrays = load(data)
    except (SafetensorError, ValueError) as error:
        raise CorruptError(f"{name} is damaged: {error}; restore it from a copy") from error
    return Contents(header, arrays)


def _header(data: bytes) -> dict[str, Any]:
    """Our metadata, or nothing: 8 bytes of length, little-endian, then JSON (the safetensors format)."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(_MAX_HEADER, len(data) - 8):
        return {}
    try:
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]["setwise"]
        header = json.loads(metadata)
    except (ValueError, KeyError, TypeError):
        return {}
    return header if isinstance(header, dict) else {}
