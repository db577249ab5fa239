"""The index's files against their checksums, and its births against the catalog."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from setwise_engine.collection._catalog import read_number
from setwise_engine.collection._index import INDEX_FOLDER, INDEX_VERSION, SIDECAR, read_sidecar
from setwise_engine.collection._view import ROW_BITS

__all__ = ["IndexFile", "file_sha256", "index_files", "index_problems"]

_REMEDY = "`setwise index` and the server's upkeep make a new one"
_STEP = 1 << 22


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file of the index and the SHA-256 that it should have."""

    path: Path
    sha256: str


def index_files(folder: Path, uuid: str) -> list[IndexFile]:
    """What the sidecar in a collection's folder names; nothing where there is none.

    An index of an earlier version is no longer used, but is no damage. Raises OSError and ValueError.
    """
    try:
        said = json.loads((folder / INDEX_FOLDER / SIDECAR).read_bytes())
    except FileNotFoundError:
        return []
    try:
        if said["collection"] != uuid:
            raise ValueError(f"{SIDECAR} belongs to another collection")
        files = [(said["file"], said["sha256"])]
        if said["format"] >= INDEX_VERSION:
            read_sidecar(folder)
            files.append((said["births"], said["births_sha256"]))
        return [IndexFile(folder / INDEX_FOLDER / name, sha256) for name, sha256 in files]
    except (TypeError, KeyError) as error:
        raise ValueError(f"{SIDECAR} is damaged ({error})") from error


def index_problems(connection: sqlite3.Connection, folder: Path, uuid: str) -> list[str]:
    """What is wrong with the index, one sentence each: it may be absent, but one that is there must be whole."""
    while True:
        files: list[IndexFile] | None = None
        try:
            files = index_files(folder, uuid)
            problems = [
                f"index {f.path.name} differs from its SHA-256" for f in files if file_sha256(f.path) != f.sha256
            ]
            if not problems and len(files) > 1:
                problems = list(_birth_problems(connection, folder))
        except (OSError, ValueError) as error:
            problems = [f"the index cannot be read ({error})"]
        if not problems or files == _again(folder, uuid):
            return [f"{problem}; {_REMEDY}" for problem in problems]
        # A writer has put another in its place meanwhile.


def file_sha256(path: Path, advance: Callable[[int], None] = lambda step: None) -> str:
    """SHA-256 of a file, hexadecimal; `advance` is told the bytes of each step. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_STEP):
            digest.update(chunk)
            advance(len(chunk))
    return digest.hexdigest()


def _again(folder: Path, uuid: str) -> list[IndexFile] | None:
    try:
        return index_files(folder, uuid)
    except (OSError, ValueError):
        return None


def _birth_problems(connection: sqlite3.Connection, folder: Path) -> Iterator[str]:
    """An index that is in use must hold every live image that was born in the segments that it covers."""
    sidecar = read_sidecar(folder)
    if sidecar is None or sidecar.version > read_number(connection, "version"):
        return
    files = {str(number): file for number, file in connection.execute("SELECT id, file FROM segments")}
    if any(files.get(number) != file for number, file in sidecar.segments.items()):
        return  # not of this version: nobody uses it
    births = np.fromfile(folder / INDEX_FOLDER / sidecar.births, "<i8")
    covered = np.array([int(number) for number in sidecar.segments], np.int64)
    if len(births) != sidecar.rows or len(np.unique(births)) != len(births):
        yield f"index {sidecar.births} names {len(np.unique(births))} images instead of {sidecar.rows}"
    if not np.isin(births >> ROW_BITS, covered).all():
        yield f"index {sidecar.births} names images of segments that {SIDECAR} does not name"
    live = np.array(connection.execute("SELECT birth FROM images").fetchall(), np.int64).reshape(-1)
    lost = live[np.isin(live >> ROW_BITS, covered) & ~np.isin(live, births)]
    if len(lost):
        yield f"index {sidecar.file} lacks {len(lost)} of the images that it should cover"
