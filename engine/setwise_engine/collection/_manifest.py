"""The first member of a snapshot: which collection and version it is, and every file with its size and checksum."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any

from setwise_engine.collection._encoder_file import ENCODER_FILE
from setwise_engine.collection._schema import CATALOG_FILE, FORMAT_VERSION
from setwise_engine.collection._writer import SEGMENTS_FOLDER
from setwise_engine.errors import CorruptError, FormatError

__all__ = ["ADVICE", "MANIFEST", "File", "Manifest", "read_manifest"]

MANIFEST = "manifest.json"
ADVICE = "the snapshot is not whole or not ours; fetch it again, or take another"
_KIND = "setwise-snapshot"
_VERSION = 1
_MAX_BYTES = 64 << 20  # some 400,000 segments
_SEGMENT = re.compile(rf"{SEGMENTS_FOLDER}/[0-9]{{8,19}}-[0-9a-f]{{8}}\.safetensors")
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class File:
    """A file of the snapshot: its bytes and their SHA-256, hexadecimal."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot holds. format: of the collection; name: what it was called; files: by member name."""

    format: int
    name: str
    uuid: str
    version: int
    images: int
    files: Mapping[str, File]

    def to_bytes(self) -> bytes:
        """As JSON; the same bytes for the same content."""
        text = json.dumps({"kind": _KIND, "snapshot": _VERSION} | asdict(self), ensure_ascii=False, indent=1)
        return text.encode()


def read_manifest(name: str, content: IO[bytes]) -> Manifest:
    """The manifest from the archive's first member, of that name.

    Raises FormatError when it is none or of an unknown version, CorruptError when it cannot be right.
    """
    if name != MANIFEST:
        raise FormatError(
            f"the archive begins with {name!r}, not with {MANIFEST}; give a file made by `setwise snapshot`"
        )
    text = content.read(_MAX_BYTES + 1)
    try:
        document = json.loads(text) if len(text) <= _MAX_BYTES else None
        return _checked(document)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CorruptError(f"{MANIFEST} is damaged ({error}); {ADVICE}") from error


def _checked(document: Any) -> Manifest:
    if document["kind"] != _KIND:
        raise FormatError(f"{MANIFEST} is of {document['kind']!r}, not of {_KIND!r}; give a file of `setwise snapshot`")
    for what, known in (("snapshot", _VERSION), ("format", FORMAT_VERSION)):
        if not 1 <= (version := _whole(document[what])) <= known:
            message = f"the snapshot has {what} version {version}, this release knows versions up to {known}"
            raise FormatError(f"{message}; install a newer setwise to restore it")
    files = {str(name): File(_whole(file["bytes"]), str(file["sha256"])) for name, file in document["files"].items()}
    for name, file in files.items():
        if not (name in (CATALOG_FILE, ENCODER_FILE) or _SEGMENT.fullmatch(name)):
            raise ValueError(f"a file may not be called {name!r}")
        if not _SHA256.fullmatch(file.sha256):
            raise ValueError(f"the SHA-256 of {name} is {file.sha256!r}")
    for name in (CATALOG_FILE, ENCODER_FILE):
        if name not in files:
            raise ValueError(f"it does not name {name}")
    return Manifest(
        _whole(document["format"]),
        str(document["name"]),
        str(document["uuid"]),
        _whole(document["version"]),
        _whole(document["images"]),
        files,
    )


def _whole(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise ValueError(f"{value!r} is not a whole number")
    return value
