"""The FAISS index: derived files that may be deleted at any time (docs/format.md).

`index/coarse.json` names the FAISS file and the births of its rows, and says what they cover. All are replaced by
renaming only, and the two files have new names each time, so that whoever has mapped the old ones keeps them. They are
mapped read-only and never added to: adding to an index opened with IO_FLAG_MMAP_IFC aborts the process.

In the FAISS file a row is its place, 0 to rows - 1, so that a selector is a bit for each row; the births, int64, say
which image it is, wherever compaction has moved it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import logging
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import google_crc32c
import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection._mapping import map_file
from setwise_engine.collection._view import ROW_BITS, View

__all__ = ["INDEX_FOLDER", "INDEX_VERSION", "SIDECAR", "Index", "Sidecar", "find_index", "probe", "read_sidecar"]

INDEX_FOLDER = "index"
SIDECAR = "coarse.json"
INDEX_VERSION = 2
IO_FLAG_MMAP_IFC = 0x200

_LEAST_PROBES = 32
_LISTS_PER_PROBE = 8
_STEP = 1 << 22

# FAISS builds its Python classes when it is imported: its stubs do not know their constructors.
_faiss: Any = faiss

_log = logging.getLogger("setwise")


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What `coarse.json` says of the files beside it.

    segments: number and file of each segment that rows were born in. factory: what FAISS was asked for; asked: the
    same, where somebody chose it and not the number of rows. file, births: names. bytes, sha256, crc32c: of the file;
    births_sha256, births_crc32c: of the births, 8 bytes a row.
    """

    format: int
    collection: str
    version: int
    segments: dict[str, str]
    coarse: str
    dims: int
    rows: int
    factory: str
    asked: str
    file: str
    bytes: int
    sha256: str
    crc32c: str
    births: str
    births_sha256: str
    births_crc32c: str


class Index:
    """An index over rows of one collection. Its files are checked and mapped when it is first searched."""

    def __init__(self, folder: Path, sidecar: Sidecar) -> None:
        """folder: the collection's. Raises OSError or ValueError when the files cannot be those of the sidecar."""
        self.sidecar = sidecar
        self.segments = {int(segment): file for segment, file in sidecar.segments.items()}
        self.broken = False
        self.births: NDArray[np.int64] = np.zeros(0, np.int64)
        self._folder = folder / INDEX_FOLDER
        self._index: Any = None
        self._order: NDArray[np.intp] | None = None
        self._served: int | None = None
        self._living: tuple[int, NDArray[np.uint8]] | None = None
        self._lock = threading.Lock()
        for name, size in ((sidecar.file, sidecar.bytes), (sidecar.births, 8 * sidecar.rows)):
            _check_size(self._folder / name, size)

    def __len__(self) -> int:
        return self.sidecar.rows

    def serves(self, view: View) -> bool:
        """Whether it can answer for this version: it knows no later one, and each of its segments is the view's.

        A catalog restored from a backup may have had other segments under the same numbers, or be older.
        """
        if self.sidecar.version > view.version:
            return False
        if self._served is not None and view.version >= self._served:
            return True  # a history only grows
        served = all(view.history.get(number) == file for number, file in self.segments.items())
        self._served = view.version if served else None
        return served

    def ready(self) -> bool:
        """Whether it can be searched; checks every byte the first time, and says in the log what is wrong."""
        with self._lock:
            if self._index is None and not self.broken:
                try:
                    self._open()
                except (OSError, ValueError, RuntimeError) as error:
                    self.broken = True
                    _warn(self._folder, error, self.sidecar)
            return not self.broken

    def covers(self, births: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which live images, by their births, are rows of it: all that were born in its segments."""
        numbers = births >> ROW_BITS
        within = numbers < len(self._known)
        covered: NDArray[np.bool_] = within & self._known[np.where(within, numbers, 0)]
        return covered

    @functools.cached_property
    def _known(self) -> NDArray[np.bool_]:
        """By number, whether it is a segment that rows were born in. Asked of an index that serves a view only."""
        known = np.zeros(max(self.segments, default=0) + 1, np.bool_)
        known[list(self.segments)] = True
        return known

    def bits_of(self, births: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The rows of these births, which it covers, as `search` takes them. Call `ready` before."""
        rising = self.births if self._order is None else self.births[self._order]
        places = np.minimum(np.searchsorted(rising, births), len(rising) - 1)
        places = places[rising[places] == births]
        chosen = np.zeros(len(rising), np.bool_)
        chosen[places if self._order is None else self._order[places]] = True
        return np.packbits(chosen, bitorder="little")

    def living(self, rows: int, births: Callable[[], NDArray[np.int64]]) -> NDArray[np.uint8] | None:
        """The rows of all live images, of which there are so many, and whose births `births` gives; None for all rows.

        Rows die and never come back to life, so two versions in which as many live are of the same ones.
        """
        if rows == len(self):
            return None
        known = self._living
        if known is None or known[0] != rows:
            self._living = known = (rows, self.bits_of(births()))
        return known[1]

    def search(
        self, vector: NDArray[np.float32], k: int, bits: NDArray[np.uint8] | None = None, *, share: float = 1.0
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows and inner products of at most k rows, best first. Call `ready` before.

        bits: which rows may be found, a bit for each, least first; None for all. share: of the rows that may be found:
        the fewer, the more lists are probed, so that about as many rows are scored; 0 probes all.
        """
        scores, rows = _search(self._index, vector, min(k, len(self)), bits, share)
        found = rows[0] >= 0
        return rows[0][found], scores[0][found]

    def _open(self) -> None:
        said = self.sidecar
        _check_bytes(self._folder / said.file, said.crc32c)
        _check_bytes(self._folder / said.births, said.births_crc32c)
        if said.rows:
            self.births = map_file(self._folder / said.births, 8 * said.rows).view(np.int64)
        if (self.births[1:] <= self.births[:-1]).any():  # images that compaction had moved
            self._order = np.argsort(self.births, kind="stable")
        index = faiss.read_index(str(self._folder / said.file), IO_FLAG_MMAP_IFC)
        if (index.ntotal, index.d) != (said.rows, said.dims):
            raise ValueError(f"{said.file} does not hold what {SIDECAR} says")
        self._index = index


def read_sidecar(folder: Path) -> Sidecar | None:
    """What the sidecar says; None when there is none. Raises ValueError when it cannot be read."""
    try:
        text = (folder / INDEX_FOLDER / SIDECAR).read_bytes()
    except FileNotFoundError:
        return None
    try:
        said = json.loads(text)
        if said["format"] != INDEX_VERSION:
            raise ValueError(f"{SIDECAR} has version {said['format']}, this release knows version {INDEX_VERSION}")
        sidecar = Sidecar(**said)
        _check_types(sidecar)
        return sidecar
    except (TypeError, KeyError) as error:
        raise ValueError(f"{SIDECAR} is damaged ({error})") from error


def _check_types(sidecar: Sidecar) -> None:
    """The sidecar has no checksum: what is not of its type is damage. Raises TypeError."""
    for field in dataclasses.fields(sidecar):
        wanted = {"int": int, "str": str}.get(str(field.type), dict)
        if not isinstance(getattr(sidecar, field.name), wanted):
            raise TypeError(f"{field.name} is no {wanted.__name__}")


def find_index(folder: Path, *, collection: str, coarse: str, dims: int) -> Index | None:
    """The index of a collection's folder; None when there is none, and with a line in the log when it is no use."""
    sidecar = None
    try:
        sidecar = read_sidecar(folder)
        if sidecar is None:
            return None
        if (sidecar.collection, sidecar.coarse, sidecar.dims) != (collection, coarse, dims):
            raise ValueError(f"{SIDECAR} belongs to another collection or another kind of coarse vector")
        return Index(folder, sidecar)
    except (OSError, ValueError) as error:
        _warn(folder / INDEX_FOLDER, error, sidecar)
        return None


def probe(index: Any) -> None:
    """Searches a FAISS index once as `Index.search` does. Raises RuntimeError when it takes no selector."""
    _search(index, np.zeros(index.d, np.float32), 1, np.zeros(index.ntotal // 8 + 1, np.uint8), 1.0)


def _warn(folder: Path, error: Exception, sidecar: Sidecar | None) -> None:
    """Says in the log that there is an index that cannot be used, unless another has taken its place meanwhile."""
    with contextlib.suppress(OSError, ValueError):
        if sidecar is not None and read_sidecar(folder.parent) != sidecar:
            return
    advice = "running `setwise index` again makes a new one"
    _log.warning("index in %s not used, searching without it (%s); %s", folder, error, advice)


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


def _search(index: Any, vector: NDArray[np.float32], k: int, bits: NDArray[np.uint8] | None, share: float) -> Any:
    selector = None if bits is None else _faiss.IDSelectorBitmap(bits)
    parameters = _parameters(index, selector, share, k)
    with _one_thread():
        return index.search(vector[None, :], k, params=parameters)


def _parameters(index: Any, selector: Any, share: float, k: int) -> Any:
    """How to search an index of this kind: through a rotation, over how many lists, how far into a graph."""
    index = faiss.downcast_index(index)
    if isinstance(index, _faiss.IndexPreTransform):
        return _faiss.SearchParametersPreTransform(index_params=_parameters(index.index, selector, share, k))
    if isinstance(index, _faiss.IndexIVF):
        return _faiss.SearchParametersIVF(sel=selector, nprobe=_probes(index.nlist, share))
    if isinstance(index, _faiss.IndexHNSW):
        return _faiss.SearchParametersHNSW(sel=selector, efSearch=max(index.hnsw.efSearch, 2 * k))
    return None if selector is None else _faiss.SearchParameters(sel=selector)


def _probes(lists: int, share: float) -> int:
    """Lists to probe for a share of the rows: docs/decisions/0092-filters.md."""
    probes = max(_LEAST_PROBES, lists // _LISTS_PER_PROBE)
    return lists if share * lists <= probes else math.ceil(probes / share)


def _check_size(path: Path, size: int) -> None:
    found = path.stat().st_size
    if found != size:
        raise ValueError(f"{path.name} has {found} bytes instead of {size}")


def _check_bytes(path: Path, crc32c: str) -> None:
    checksum = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_STEP):
            checksum = google_crc32c.extend(checksum, chunk)
    if f"{checksum:08x}" != crc32c:
        raise ValueError(f"{path.name} is damaged")
