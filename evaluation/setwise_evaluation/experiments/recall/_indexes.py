"""FAISS indexes over coarse vectors, made and searched as a collection makes and searches its own.

What `setwise_engine.collection` keeps to itself is repeated here: the number of lists, the sample that an index is
trained on, how many lists are probed. A test holds the two to each other.
"""

from __future__ import annotations

import math
import re
from contextlib import AbstractContextManager
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_evaluation._threads import so_many
from setwise_evaluation.experiments.recall._types import Setting
from setwise_evaluation.experiments.recall._vectors import Vectors

__all__ = ["FLAT", "BuiltIndex", "factories_for", "setting_of"]

FLAT = "Flat"
_FROM_IMAGES = 10_000  # below, lists have nothing to gain: a flat search takes less than the exact stage
_LADDER = ("SQ8", "IVF64,SQ8", "IVF128,SQ8", "IVF{lists},SQ8")
"""8-bit codes, and lists of them of which a half, a quarter and an eighth are probed: see `_probes`."""

_ROWS_PER_LIST = 64
_SAMPLE_BYTES = 512 << 20
_LEAST_SAMPLE = 50_000
_CHUNK = 4096

# FAISS builds its Python classes when it is imported: its stubs do not know their constructors.
_faiss: Any = faiss


def factories_for(images: int) -> tuple[str, ...]:
    """The index types that are worth a look in a collection of so many images, beside the exact coarse order."""
    return _LADDER if images >= _FROM_IMAGES else _LADDER[:1]


class BuiltIndex:
    """An index over all coarse vectors of one kind."""

    def __init__(self, vectors: Vectors, coarse: str, factory: str, *, threads: int) -> None:
        """factory: as `setwise index --index-factory` takes it. Raises InvalidInput when FAISS cannot make it."""
        images, dims = vectors.shape
        sample = max(_LEAST_SAMPLE, _SAMPLE_BYTES // (4 * dims))
        lists = max(1, min(round(4 * math.sqrt(images)), sample // _ROWS_PER_LIST))
        text = factory.replace("{lists}", str(lists))
        with _threads(threads):
            try:
                self._index = faiss.index_factory(dims, text, faiss.METRIC_INNER_PRODUCT)
                self._fill(vectors, sample)
                self.order(np.zeros(dims, np.float32), 1)
            except RuntimeError as error:
                reason = str(error).strip().splitlines()[-1]
                message = f"FAISS cannot make an index {text!r} of {images} vectors of {dims} numbers ({reason})"
                raise InvalidInput(f"{message}; leave it out, or name another", field="index_factory") from error
        size = faiss.serialize_index(self._index).nbytes / images
        self.setting = setting_of(coarse, text, dims=dims, index_bytes=size)

    def order(self, vector: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """Rows of at most so many images, by the index's own scores, best first."""
        with _threads(1):
            rows = self._index.search(vector[None, :], count, params=_parameters(self._index, count))[1][0]
        found: NDArray[np.int64] = rows[rows >= 0]
        return found

    def _fill(self, vectors: Vectors, sample: int) -> None:
        if not self._index.is_trained:
            lists = _faiss.try_extract_index_ivf(self._index)
            if lists is not None:
                lists.cp.min_points_per_centroid = 1  # below 39 FAISS warns: the study shows what they are worth
            chosen = np.sort(np.random.default_rng(0).permutation(len(vectors))[:sample])
            self._index.train(np.ascontiguousarray(vectors[chosen]))
        for first in range(0, len(vectors), _CHUNK):
            self._index.add(np.ascontiguousarray(vectors[first : first + _CHUNK]))


def setting_of(coarse: str, index: str, *, dims: int, index_bytes: float, present: bool = False) -> Setting:
    """The setting of an index by its `faiss.index_factory` text. index_bytes: an image."""
    named = re.search(r"IVF(\d+)", index)
    lists = int(named[1]) if named else 0
    return Setting(coarse, index, present, dims, 4 * dims + index_bytes, lists, _probes(lists) if lists else 0)


def _probes(lists: int) -> int:
    """Lists that a search of the whole collection probes: docs/decisions/0092-filters.md."""
    return min(lists, max(32, lists // 8))


def _parameters(index: Any, count: int) -> Any:
    index = faiss.downcast_index(index)
    if isinstance(index, _faiss.IndexPreTransform):
        return _faiss.SearchParametersPreTransform(index_params=_parameters(index.index, count))
    if isinstance(index, _faiss.IndexIVF):
        return _faiss.SearchParametersIVF(nprobe=_probes(index.nlist))
    if isinstance(index, _faiss.IndexHNSW):
        return _faiss.SearchParametersHNSW(efSearch=max(index.hnsw.efSearch, 2 * count))
    return None


def _threads(count: int) -> AbstractContextManager[None]:
    """So many OpenMP threads for FAISS."""
    return so_many(count, faiss.omp_get_max_threads, faiss.omp_set_num_threads)
