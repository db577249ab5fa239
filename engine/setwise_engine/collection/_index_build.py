"""Making the FAISS index: trained on a sample, filled from the mapped segments, published by one rename."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import faiss
import google_crc32c
import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._durable import Disk
from setwise_engine.collection._index import INDEX_FOLDER, INDEX_VERSION, SIDECAR, Sidecar, probe, read_sidecar
from setwise_engine.collection._lock import WriterLock
from setwise_engine.collection._view import ROW_BITS, View
from setwise_engine.errors import CollectionError, InvalidInput, LockedError
from setwise_engine.matching import no_check

__all__ = ["FACTORIES", "build_index"]

# Largest number of rows and factory string. 8-bit codes recall what floats recall at a quarter of the bytes, and lists
# lose a little: docs/decisions/0070-coarse-vector-and-candidates.md.
FACTORIES: tuple[tuple[float, str], ...] = (
    (10_000, "Flat"),
    (300_000, "SQ8"),
    (math.inf, "IVF{lists},SQ8"),
)
_ROWS_PER_LIST = 64  # of the sample; FAISS asks for 39 at least
_SAMPLE_BYTES = 512 << 20
_LEAST_SAMPLE = 50_000
_CHUNK_BYTES = 32 << 20
_WRITE_BYTES = 1 << 20

Check = Callable[[], None]
Write = Callable[[bytes], None]
Fill = Callable[[Write], None]


def build_index(
    view: View,
    folder: Path,
    disk: Disk,
    lock: WriterLock,
    *,
    collection: str,
    coarse: str,
    dims: int,
    factory: str | None = None,
    check: Check = no_check,
) -> Sidecar:
    """Makes the index of a view and puts it in the place of the old one; returns what is there then.

    coarse, dims: kind and length of the coarse vectors. factory: `faiss.index_factory` text, with {lists} for a number
    of lists that suits the rows; "" for one by their number; None for what the present index was asked for. Takes the
    memory of the index and a bounded sample besides. The lock is held only while names are exchanged. check: raises to
    give up. When another process has built one meanwhile, its index is used. Raises InvalidInput when FAISS cannot make
    or search such an index, LockedError when the other's index is of another kind.
    """
    asked = _asked(folder) if factory is None else factory
    index, text = _make(view, dims, asked, check)
    name = f"coarse-{view.version:08d}-{secrets.token_hex(4)}"
    folder = folder / INDEX_FOLDER
    folder.mkdir(exist_ok=True)
    births = view.live_births
    file, list_of_births = f"{name}.faiss", f"{name}.births"
    try:
        sums = _write(disk, folder / file, lambda write: _serialize(index, write))
        sums_of_births = _write(disk, folder / list_of_births, lambda write: write(births.astype("<i8").tobytes()))
    except CollectionError as error:
        if isinstance(error.__cause__, FileNotFoundError):  # removed under our hands by one that was faster
            return _other(folder, asked)
        raise
    numbers = np.unique(births >> ROW_BITS).tolist()
    sidecar = Sidecar(
        format=INDEX_VERSION,
        collection=collection,
        version=view.version,
        segments={str(number): view.history[number] for number in numbers},
        coarse=coarse,
        dims=dims,
        rows=len(births),
        factory=text,
        asked=asked,
        file=file,
        bytes=sums.bytes,
        sha256=sums.sha256,
        crc32c=sums.crc32c,
        births=list_of_births,
        births_sha256=sums_of_births.sha256,
        births_crc32c=sums_of_births.crc32c,
    )
    with lock.hold():
        return _publish(folder, sidecar, disk)


class _Sums:
    """Counts and checksums of what is written."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._sha256 = hashlib.sha256()
        self._crc32c = 0
        self.bytes = 0

    def __call__(self, chunk: bytes) -> None:
        self._sha256.update(chunk)
        self._crc32c = google_crc32c.extend(self._crc32c, chunk)
        self.bytes += len(chunk)
        self._write(chunk)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def crc32c(self) -> str:
        return f"{self._crc32c:08x}"


def _write(disk: Disk, path: Path, fill: Fill) -> _Sums:
    """Publishes a file and returns what was in it, summed."""
    made: list[_Sums] = []

    def summed(write: Write) -> None:
        made.append(_Sums(write))
        fill(made[0])

    disk.publish_filled(path, summed)
    return made[0]


def _serialize(index: Any, write: Write) -> None:
    """Hands FAISS's file out in parts: it is written by the one module that writes, and never whole in memory twice.

    FAISS's own writer closes its file in a destructor, where a full disk goes unnoticed.
    """
    waiting = bytearray()

    def take(chunk: bytes) -> None:
        waiting.extend(chunk)
        if len(waiting) >= _WRITE_BYTES:
            flush()

    def flush() -> None:
        write(bytes(waiting))
        waiting.clear()

    stream: Any = faiss.PyCallbackIOWriter(take, _WRITE_BYTES)  # type: ignore[attr-defined]  # not in FAISS's stubs
    faiss.write_index(index, stream)
    flush()


def _publish(folder: Path, sidecar: Sidecar, disk: Disk) -> Sidecar:
    """Puts the sidecar in place and removes what no sidecar names. The caller holds the writer lock.

    Another process may have built meanwhile: of a later version, its index stays and ours goes; and it has removed our
    files if it came first, so that its index is used.
    """
    ours = {sidecar.file, sidecar.births}
    with contextlib.suppress(ValueError):
        there = read_sidecar(folder.parent)
        if there is not None and there.collection == sidecar.collection and there.version > sidecar.version:
            for name in ours:
                disk.remove(folder / name)
            return there
    if not all((folder / name).exists() for name in ours):
        return _other(folder, sidecar.asked)
    disk.publish(folder / SIDECAR, [json.dumps(asdict(sidecar), indent=1).encode()])
    for other in folder.iterdir():
        if other.name.startswith("coarse") and other.name not in {*ours, SIDECAR}:
            disk.remove(other)
    return sidecar


def _other(folder: Path, asked: str) -> Sidecar:
    """The index that another process has built meanwhile. Raises LockedError when it is not of the kind asked for."""
    with contextlib.suppress(ValueError):
        there = read_sidecar(folder.parent)
        if there is not None and there.asked == asked:
            return there
    raise LockedError(f"another process has built another kind of index in {folder} meanwhile; try again")


def _asked(folder: Path) -> str:
    """What the present index was asked for; "" when it was made by the number of rows, or there is none."""
    with contextlib.suppress(OSError, ValueError):
        sidecar = read_sidecar(folder)
        return sidecar.asked if sidecar is not None else ""
    return ""


def _make(view: View, dims: int, asked: str, check: Check) -> tuple[Any, str]:
    """A FAISS index over the view's live rows, in the order of their keys, and its factory text."""
    keys = view.live
    sample = max(_LEAST_SAMPLE, _SAMPLE_BYTES // (4 * dims))
    lists = max(1, min(round(4 * math.sqrt(len(keys))), sample // _ROWS_PER_LIST))
    text = (asked or next(text for limit, text in FACTORIES if len(keys) <= limit)).replace("{lists}", str(lists))
    if not len(keys):
        text = "Flat"  # nothing to learn a quantiser from
    try:
        index = faiss.index_factory(dims, text, faiss.METRIC_INNER_PRODUCT)
        if not index.is_trained:
            chosen = np.sort(np.random.default_rng(0).permutation(len(keys))[:sample])
            index.train(np.concatenate(list(_vectors(view, keys[chosen]))))
        for vectors in _vectors(view, keys):
            check()
            index.add(vectors)
        probe(index)
    except RuntimeError as error:
        first_line = str(error).strip().splitlines()[-1]
        message = f"FAISS cannot make an index {text!r} of {len(keys)} vectors of {dims} numbers ({first_line})"
        raise InvalidInput(f"{message}; ask for another kind, or for none", field="index_factory") from error
    return index, text


def _vectors(view: View, keys: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
    """Coarse vectors of rising keys, in parts of bounded size."""
    first = 0
    while first < len(keys):
        number = int(keys[first]) >> ROW_BITS
        vectors = view.segments[number].coarse()
        last = int(np.searchsorted(keys, (number + 1) << ROW_BITS))
        step = max(1, _CHUNK_BYTES // max(1, vectors[:1].nbytes))
        for start in range(first, last, step):
            yield vectors[keys[start : min(start + step, last)] - (number << ROW_BITS)]
        first = last
