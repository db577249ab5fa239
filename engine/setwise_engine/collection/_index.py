"""The FAISS index: a derived file that may be deleted at any time (docs/format.md).

`index/coarse.json` names the FAISS file and says what it covers. Both are replaced by renaming only, and the FAISS file
has a new name each time, so that whoever has mapped the old one keeps it. It is mapped read-only and never added to:
adding to an index opened with IO_FLAG_MMAP_IFC aborts the process.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss
import google_crc32c
import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._durable import Disk
from setwise_engine.collection._view import View

__all__ = ["INDEX_FOLDER", "SIDECAR", "Index", "Sidecar", "load_index", "make_index", "read_sidecar", "write_index"]

INDEX_FOLDER = "index"
SIDECAR = "coarse.json"
INDEX_VERSION = 1
IO_FLAG_MMAP_IFC = 0x200

# Largest number of rows and factory string. 8-bit codes recall what floats recall at a quarter of the bytes, and lists
# lose a little: docs/decisions/0070-coarse-vector-and-candidates.md.
FACTORIES: tuple[tuple[float, str], ...] = (
    (10_000, "IDMap2,Flat"),
    (300_000, "IDMap2,SQ8"),
    (math.inf, "IVF{lists},SQ8"),
)
_LEAST_PROBES = 32
_LISTS_PER_PROBE = 8
_TRAINING_ROWS_PER_LIST = 64

_log = logging.getLogger("setwise")


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What `coarse.json` says of the FAISS file."""

    format: int
    collection: str
    version: int
    segments: dict[str, str]
    coarse: str
    dims: int
    rows: int
    factory: str
    file: str
    bytes: int
    sha256: str
    crc32c: str


class Index:
    """A mapped FAISS index over keys."""

    def __init__(self, sidecar: Sidecar, index: Any) -> None:
        self.sidecar = sidecar
        self.segments = {int(segment): file for segment, file in sidecar.segments.items()}
        self._index = index
        self._lists = faiss.try_extract_index_ivf(index)
        lists = self._lists.nlist if self._lists is not None else 0
        self._probes = min(lists, max(_LEAST_PROBES, lists // _LISTS_PER_PROBE))

    def __len__(self) -> int:
        return self.sidecar.rows

    def serves(self, view: View) -> bool:
        """Whether it can answer for this version: it knows no later one, and each of its segments is the view's.

        A catalog restored from a backup may have other segments under the same numbers, or be older.
        """
        files = {number: entry.file for number, entry in view.entries.items()}
        return self.sidecar.version <= view.version and self.segments.items() <= files.items()

    def search(
        self, vector: NDArray[np.float32], k: int, *, thorough: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Keys and inner products of at most k rows, best first; `thorough` probes every list."""
        parameters = None
        if self._lists is not None:
            parameters = faiss.SearchParametersIVF()
            parameters.nprobe = self._lists.nlist if thorough else self._probes
        with _one_thread():
            scores, keys = self._index.search(vector[None, :], min(k, len(self)), params=parameters)
        found = keys[0] >= 0
        return keys[0][found], scores[0][found]

    @property
    def exhaustive(self) -> bool:
        """Whether a plain search looks at every row."""
        return self._lists is None or self._lists.nlist == self._probes


def make_index(keys: NDArray[np.int64], vectors: NDArray[np.float32]) -> tuple[Any, str]:
    """A new FAISS index over the rows and its factory string, chosen by their number."""
    rows, dims = vectors.shape
    lists = max(1, round(4 * math.sqrt(rows)))
    factory = next(text for limit, text in FACTORIES if rows <= limit).format(lists=lists)
    if not rows:
        factory = "IDMap2,Flat"  # nothing to learn a quantiser from
    index = faiss.index_factory(dims, factory, faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained:
        sample = np.random.default_rng(0).permutation(rows)[: max(lists * _TRAINING_ROWS_PER_LIST, 50_000)]
        index.train(np.ascontiguousarray(vectors[np.sort(sample)]))
    index.add_with_ids(vectors, keys)
    return index, factory


def write_index(folder: Path, index: Any, describe: dict[str, Any], disk: Disk) -> Sidecar:
    """Writes index and sidecar durably and removes older ones. The caller holds the writer lock."""
    folder = folder / INDEX_FOLDER
    folder.mkdir(exist_ok=True)
    data = faiss.serialize_index(index)
    name = f"coarse-{describe['version']:08d}-{secrets.token_hex(4)}.faiss"
    sidecar = Sidecar(
        format=INDEX_VERSION,
        file=name,
        bytes=data.nbytes,
        sha256=hashlib.sha256(data.data).hexdigest(),
        crc32c=f"{google_crc32c.value(data):08x}",
        **describe,
    )
    disk.publish(folder / name, [data])
    disk.publish(folder / SIDECAR, [json.dumps(asdict(sidecar), indent=1).encode()])
    for other in folder.iterdir():
        if other.name.startswith("coarse") and other.name not in (name, SIDECAR):
            disk.remove(other)
    return sidecar


def read_sidecar(folder: Path) -> Sidecar | None:
    """What the sidecar says; None when there is none. Raises ValueError when it cannot be read."""
    try:
        text = (folder / INDEX_FOLDER / SIDECAR).read_bytes()
    except FileNotFoundError:
        return None
    try:
        sidecar = Sidecar(**json.loads(text))
        if sidecar.format != INDEX_VERSION:
            raise ValueError(f"{SIDECAR} has version {sidecar.format}, this release knows version {INDEX_VERSION}")
    except TypeError as error:
        raise ValueError(f"{SIDECAR} is damaged ({error})") from error
    return sidecar


def load_index(folder: Path, *, collection: str, coarse: str, dims: int) -> Index | None:
    """Maps the index; None, with a line in the log, when there is none that can be used."""
    try:
        sidecar = read_sidecar(folder)
        if sidecar is None:
            return None
        if (sidecar.collection, sidecar.coarse, sidecar.dims) != (collection, coarse, dims):
            raise ValueError(f"{SIDECAR} belongs to another collection or another kind of coarse vector")
        path = folder / INDEX_FOLDER / sidecar.file
        _check_bytes(path, sidecar)
        index = faiss.read_index(str(path), IO_FLAG_MMAP_IFC)
        if (index.ntotal, index.d) != (sidecar.rows, dims):
            raise ValueError(f"{sidecar.file} does not hold what {SIDECAR} says")
        return Index(sidecar, index)
    except (OSError, ValueError, RuntimeError) as error:
        advice = "running `setwise index` again makes a new one"
        _log.warning("index of %s not used, searching without it (%s); %s", folder, error, advice)
        return None


def _check_bytes(path: Path, sidecar: Sidecar) -> None:
    if path.stat().st_size != sidecar.bytes:
        raise ValueError(f"{sidecar.file} has {path.stat().st_size} bytes instead of {sidecar.bytes}")
    checksum = 0
    with path.open("rb") as stream:
        for chunk in _read(stream):
            checksum = google_crc32c.extend(checksum, chunk)
    if f"{checksum:08x}" != sidecar.crc32c:
        raise ValueError(f"{sidecar.file} is damaged")


def _read(stream: Any) -> Iterator[bytes]:
    while chunk := stream.read(1 << 22):
        yield chunk


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """One OpenMP thread for FAISS: callers bring their own threads.

    The setting is this thread's, but torch's too where both share an OpenMP library: after a recall a forward pass
    would add up in another order, and an image would not find itself with a score of exactly 1. So it is put back.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
