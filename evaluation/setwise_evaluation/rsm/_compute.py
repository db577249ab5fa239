"""From images to their matrix."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from setwise_engine.errors import InvalidInput
from setwise_evaluation.matchers import Matching, MatchingOptions
from setwise_evaluation.rsm._kernels import kernel_of, sigma_of
from setwise_evaluation.rsm._rsm import Rsm
from setwise_evaluation.rsm._sources import Source, source_of
from setwise_evaluation.rsm._targets import Memory, Store, Target
from setwise_evaluation.rsm._work import Progress, Work

__all__ = ["rsm"]

_DEFAULTS = MatchingOptions()


def rsm(
    a: Any,
    b: Any = None,
    *,
    kernel: str = "cosine",
    matching: str = "exact",
    sigma: float | None = None,
    threads: int = 1,
    progress: Progress | None = None,
    store: str | os.PathLike[str] | None = None,
    options: MatchingOptions = _DEFAULTS,
    tile: int | None = None,
    row_ids: Sequence[str] | None = None,
    column_ids: Sequence[str] | None = None,
) -> Rsm:
    """The representational similarity matrix of N images with themselves, or with M others.

    a, b: activations (n, c, h, w) (h * w tokens of c numbers an image) or (n, t, d), numpy (memory maps too) or torch
    on any device; a list of arrays (n_i, d) or maps (c, h_i, w_i), or of feature sets; `Activations`; a collection,
    open or as its folder, whose images come in the order of their ids; an .npy or .npz file. b None: a with itself.
    float16, float32 or float64; computed on float32 tokens (float64 is rounded to it), with sums in float64.
    kernel: "cosine", "inner_product" or "rbf": what `values` gives. One matching serves all three: `Rsm.read`.
    matching: a `Matching`. options: of the approximate ones. sigma: of rbf; None for the paper's (`Rsm.median_sigma`).
    threads: results do not depend on it. progress: called with pairs done and all pairs after each tile.
    store: a folder that keeps finished tiles. The same call goes on there after an interruption, whatever it was, and
    the result is the same to the bit; sums and gaps are then memory maps of its files.
    row_ids, column_ids: of images that bring none, one each, all different.
    tile: images a side of a tile; None for about 32 MiB of tokens a side. Memory is bounded by the tiles: two blocks of
    tokens and 256 MiB of those used last, besides the matrices themselves (8 bytes a pair each, on disk with a store).

    Source: Wald et al., "Decoupling Semantic Similarity from Spatial Alignment for Neural Networks", NeurIPS 2024.
    Raises FeatureError naming the image for tokens that are not finite or differ in d; InvalidInput for a bad option,
    no images, or matching "none" with sets of different size or grid; Incompatible for a store of another run,
    AlreadyExists for a folder of other things or in use, Unavailable when it cannot be written or the disk is full; and
    whatever opening a collection raises. Ctrl-C ends it at once; what was stored stays.
    """
    chosen = {"kernel": kernel_of(kernel), "sigma": None if sigma is None else sigma_of(sigma)}
    rows = source_of(a, "a")
    columns = None if b is None else source_of(b, "b")
    _name(rows, row_ids, "row_ids")
    _name(columns, column_ids, "column_ids")
    work = Work.of(rows, columns, matching=_matching_of(matching), options=options, threads=threads, tile=tile)
    says = chosen | work.says()
    gaps = work.bounded
    squares = work.rows.squares, work.columns.squares
    target: Target
    if store is None:
        target = Memory(work.shape, gaps=gaps)
    else:
        target = Store(Path(store), says | {"run": work.run()}, work.shape, squares, gaps=gaps)
    with contextlib.closing(target):
        work.fill(target, progress or _silent)
    sums, bounds = target.parts()
    return Rsm(sums=sums, gaps=bounds, row_squares=squares[0], column_squares=squares[1], **says)


def _matching_of(name: str) -> Matching:
    if name not in tuple(Matching):
        raise InvalidInput(f"matching is {name!r}; give one of {', '.join(Matching)}", field="matching")
    return Matching(name)


def _name(source: Source | None, ids: Sequence[str] | None, field: str) -> None:
    if ids is None:
        return
    if source is None:
        raise InvalidInput(f"{field} are given, but b is not; rows and columns are the same images", field=field)
    if len(ids) != len(source.lengths):
        raise InvalidInput(f"there are {len(ids)} {field} for {len(source.lengths)} images; give one each", field=field)
    id, times = Counter(ids).most_common(1)[0]
    if times > 1:
        raise InvalidInput(f"{field} hold {id!r} {times} times; give every image an id of its own", field=field)
    source.ids = tuple(ids)


def _silent(done: int, total: int) -> None:
    """No progress was asked for."""
