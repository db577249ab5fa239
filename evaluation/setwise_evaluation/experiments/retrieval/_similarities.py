"""Every similarity in every kernel, from as few matchings as possible."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_evaluation.experiments.retrieval._maxsim import maxsim_both_ways
from setwise_evaluation.experiments.retrieval._types import KERNELS, SIMILARITIES, Floats, Reading
from setwise_evaluation.matchers import Matching
from setwise_evaluation.rsm import Rsm, rsm

__all__ = ["matched_sums_of", "readings", "sigma_of"]

Progress = Callable[[str, int, int], None]
"""Called with the similarity's name, pairs done and all pairs."""

_CHUNK = 256


def matched_sums_of(
    queries: Any,
    database: Any = None,
    *,
    threads: int = 1,
    progress: Progress | None = None,
    store: Path | None = None,
) -> dict[str, Rsm]:
    """Matrices of sums, (Q, N) each, by similarity; every kernel is read from them, and nothing is matched twice.

        pooled            sum_k of mean(Q)_k mean(X)_k: each set is its one mean token
        spatio-semantic   sum_i <q_i, x_i>; left out where sets differ in size
        maxsim            sum_i max_j <q_i, x_j>: every token of the query takes its best
        maxsim-image      sum_j max_i <q_i, x_j>: every token of the image takes its best
        chamfer           the mean of these two
        semantic          max over one-to-one matchings p of sum_i <q_i, x_p(i)>

    queries, database: (n, t, d) arrays, memory maps included, or lists of (n_i, d); None: the queries are the database.
    store: a folder that keeps finished tiles. Wald et al., NeurIPS 2024, section 3; Khattab & Zaharia, "ColBERT", 2020
    (MaxSim). Raises what `rsm` raises.
    """
    tell = progress or (lambda name, done, total: None)

    def sums(name: str, matching: Matching, a: Any, b: Any) -> Rsm:
        where = None if store is None else store / name
        watch = lambda done, total: tell(name, done, total)  # noqa: E731
        return rsm(a, b, matching=matching, threads=threads, progress=watch, store=where)

    found = {"pooled": sums("pooled", Matching.NONE, _means(queries), None if database is None else _means(database))}
    if len(_lengths(queries) | (set() if database is None else _lengths(database))) == 1:
        found["spatio-semantic"] = sums("spatio-semantic", Matching.NONE, queries, database)
    found["semantic"] = semantic = sums("semantic", Matching.EXACT, queries, database)
    other = queries if database is None else database
    watch = lambda done, total: tell("maxsim", done, total)  # noqa: E731
    found |= _maxsims(semantic, store, lambda: maxsim_both_ways(queries, other, threads=threads, progress=watch))
    return {name: found[name] for name in SIMILARITIES if name in found}


def readings(sums: Mapping[str, Rsm]) -> dict[Reading, Floats]:
    """Scores (Q, N) of every similarity in every kernel.

    The width of rbf is the paper's median; no ranking depends on it. MaxSim may exceed half of |Q|^2 + |X|^2, and rbf
    then takes the distance for 0: such pairs tie, and where they are half of all there is no width and no reading.
    """
    found = {}
    for name, matrix in sums.items():
        for kernel in KERNELS:
            width = sigma_of(matrix) if kernel == "rbf" else 1.0
            if width is not None:
                found[Reading(name, kernel)] = matrix.read(kernel, width)
    return found


def sigma_of(matrix: Rsm) -> float | None:
    """The paper's width; None where the median distance is 0."""
    try:
        return matrix.median_sigma()
    except InvalidInput:
        return None


def _maxsims(semantic: Rsm, store: Path | None, compute: Callable[[], tuple[Floats, Floats]]) -> dict[str, Rsm]:
    """The two directions and their mean, from a file that an earlier run left for the same tokens, or computed."""
    file = None if store is None else store / f"maxsim-{semantic.row_fingerprint}-{semantic.column_fingerprint}.npy"
    if file is not None and file.exists():
        forwards, backwards = np.load(file)
    else:
        forwards, backwards = compute()
        if file is not None:
            _keep(file, np.stack([forwards, backwards]))
    bare = replace(semantic, gaps=None, matching=Matching.MAXSIM)
    return {
        "maxsim": replace(bare, sums=forwards),
        "maxsim-image": replace(bare, sums=backwards),
        "chamfer": replace(bare, sums=(forwards + backwards) / 2, matching=Matching.CHAMFER),
    }


def _keep(file: Path, array: Floats) -> None:
    """Write an array so that a file of that name is a whole one."""
    unfinished = file.with_suffix(f".{os.getpid()}.npy")
    np.save(unfinished, array)
    unfinished.replace(file)


def _means(sets: Any) -> NDArray[np.float32]:
    """Every set as its one mean token: (n, 1, d), summed in float64."""
    if hasattr(sets, "ndim"):
        parts = [sets[first : first + _CHUNK].mean(axis=1, dtype=np.float64) for first in range(0, len(sets), _CHUNK)]
        return np.concatenate(parts).astype(np.float32)[:, None]
    return np.stack([one.mean(axis=0, dtype=np.float64) for one in sets]).astype(np.float32)[:, None]


def _lengths(sets: Any) -> set[int]:
    return {sets.shape[1]} if hasattr(sets, "ndim") else {len(one) for one in sets}
