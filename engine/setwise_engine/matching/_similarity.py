"""How alike sets are: one pair, or all pairs of two collections of sets in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from setwise_engine.errors import FeatureError, InvalidInput
from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching import _scores
from setwise_engine.matching._affinity import affinity, square
from setwise_engine.matching._blocks import Block, block_of, key_of
from setwise_engine.matching._ranker import Ranker
from setwise_engine.matching._sets import as_set, half
from setwise_engine.matching._threads import checked_threads
from setwise_engine.matching._types import Floats, Half, Kernel

__all__ = ["maxsim", "similarity", "similarity_matrix"]

_Set = FeatureSet | ArrayLike


def similarity(q: _Set, x: _Set, *, kernel: Kernel | str = Kernel.COSINE, sigma: float | None = None) -> float:
    """How alike two sets are under a kernel, from their optimal matching; exact.

    q, x: feature sets, or arrays (n, d) and (m, d) of float16 or float32, rounded to float16 first. kernel: a `Kernel`
    or its name. sigma: width of the RBF kernel, which must be given for it; not negative.
    Raises FeatureError for sets that are no such arrays or differ in d, and InvalidInput for the other values.
    """
    return float(similarity_matrix([q], [x], kernel=kernel, sigma=sigma)[0, 0])


def similarity_matrix(
    a: Sequence[_Set],
    b: Sequence[_Set] | None = None,
    *,
    kernel: Kernel | str = Kernel.COSINE,
    sigma: float | None = None,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Floats:
    """`similarity` of every set of a with every set of b: (len(a), len(b)) float64.

    b: None for a itself, at half of the work: every kernel but containment is symmetric, to the bit. Sets may differ
    in size. threads: 1 to 1024; results do not depend on it. progress: called after each row, with the pairs done and
    all there are. Raises as `similarity` does, naming the set.
    """
    wanted, width = _kernel(kernel), _width(kernel, sigma)
    checked_threads(threads)
    rows = _halves(a, "a", None)
    columns = rows if b is None else _halves(b, "b", rows[0].shape[1] if rows else None)
    mirrored = b is None and wanted is not Kernel.CONTAINMENT
    block = block_of(columns, columns[0].shape[1] if columns else 0)
    out = np.zeros((len(rows), len(columns)))
    total = len(rows) * (len(rows) + 1) // 2 if mirrored else out.size
    done = 0
    for i, query in enumerate(rows):
        first = i if mirrored else 0
        out[i, first:] = _row(query, block, first, kernel=wanted, sigma=width, threads=threads)
        if mirrored:
            out[first:, i] = out[i, first:]
        done += len(columns) - first
        if progress is not None:
            progress(done, total)
    return out


def maxsim(q: _Set, x: _Set, *, kernel: Kernel | str = Kernel.COSINE) -> tuple[float, float]:
    """MaxSim both ways: sums over the tokens of q, and over those of x, of their best affinity with the other's.

    q, x: as for `similarity`. kernel: cosine divides both sums by |Q| |X|, inner_product leaves them. The sum over the
    smaller side bounds the matching's from above. 0 for empty sets. Raises as `similarity` does.
    """
    wanted = _kernel(kernel)
    if wanted not in (Kernel.COSINE, Kernel.INNER_PRODUCT):
        raise InvalidInput(f"MaxSim has no kernel {wanted!s}; ask for cosine or inner_product", field="kernel")
    left, right = half(as_set(q)), half(as_set(x))
    by_q, by_x = _scores.maxsim(affinity(left, right))
    if wanted is Kernel.INNER_PRODUCT:
        return by_q, by_x
    norms = square(left), square(right)
    return _scores.divided(by_q, *norms), _scores.divided(by_x, *norms)


def _row(query: Half, block: Block, first: int, *, kernel: Kernel, sigma: float, threads: int) -> Floats:
    """Similarities of one set with those of a block from `first` on: the ranking of all, nothing ruled out."""
    count = len(block.squares) - first
    scores = np.zeros(count)
    if count == 0:
        return scores
    ranker = Ranker(query, k=count, kernel=kernel, sigma=sigma, threads=threads, prune=False, proofs=False)
    ranker.add({0: block}, np.arange(key_of(0, first), key_of(0, first + count), dtype=np.int64))
    for one in ranker.result().finalists:
        scores[one.key - first] = one.score
    return scores


def _kernel(kernel: Kernel | str) -> Kernel:
    try:
        return Kernel(kernel)
    except ValueError as error:
        raise InvalidInput(f"kernel is {kernel!r}; ask for one of {', '.join(Kernel)}", field="kernel") from error


def _width(kernel: Kernel | str, sigma: float | None) -> float:
    if sigma is None:
        if _kernel(kernel) is Kernel.RBF:
            raise InvalidInput("the rbf kernel needs its width; give sigma", field="sigma")
        return 1.0
    if not (math.isfinite(sigma) and sigma >= 0.0):
        raise InvalidInput(f"sigma is {sigma}; give a number that is not negative", field="sigma")
    return sigma


def _halves(sets: Sequence[_Set], name: str, dims: int | None) -> list[Half]:
    halves: list[Half] = []
    for position, one in enumerate(sets):
        try:
            halves.append(half(as_set(one)))
        except FeatureError as error:
            raise FeatureError(f"{name}[{position}]: {error}", field=name) from error
        expected = halves[0].shape[1] if dims is None else dims
        if halves[-1].shape[1] != expected:
            raise FeatureError(
                f"{name}[{position}] has tokens of {halves[-1].shape[1]} numbers, others of {expected}; "
                "compare sets of one encoder",
                field=name,
            )
    return halves
