"""The study itself, of matrices in memory: for notebooks, tests and the command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_engine.matching import Kernel
from setwise_evaluation.compare import BootstrapInterval, Method, bootstrap
from setwise_evaluation.matchers import Matching
from setwise_evaluation.retrieval import Estimate
from setwise_evaluation.rsm import Rsm, rsm

__all__ = ["KERNELS", "MATCHINGS", "METHODS", "Agreement", "Key", "agreement", "one_way", "similarities"]

Floats = NDArray[np.float64]
Key = tuple[str, str, str]
"""Method ("pearson", "spearman"), similarity, kernel."""

KERNELS = (Kernel.COSINE, Kernel.INNER_PRODUCT, Kernel.RBF)
METHODS: tuple[Method, ...] = ("pearson", "spearman")
MATCHINGS = {
    "pooled": Matching.NONE,
    "spatio-semantic": Matching.NONE,
    "maxsim": Matching.MAXSIM,
    "chamfer": Matching.CHAMFER,
    "semantic": Matching.EXACT,
}
"""The similarities in their order, and how each pairs tokens; pooled ones compare the mean tokens."""

_LEVEL = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """What `agreement` found over the n (n - 1) / 2 pairs of n images.

    divergence: (n, n) float64, bits. values: (n, n) float64 by (similarity, kernel), symmetric. sigmas: of the RBF, by
    similarity. correlations: of the similarity with the negative divergence, by (method, similarity, kernel).
    differences: semantic less another similarity, by (method, the other, kernel), paired over images. All with 95 %
    bootstrap intervals over images. left_out: similarities without an RBF, and why: where MaxSim, which counts a token
    of the other set more than once, puts half of the pairs at distance 0, there is no sigma.
    """

    divergence: Floats
    values: Mapping[tuple[str, str], Floats]
    sigmas: Mapping[str, float]
    correlations: Mapping[Key, Estimate]
    differences: Mapping[Key, Estimate]
    left_out: Mapping[str, str]


def similarities(
    tokens: NDArray[np.float32], *, threads: int = 1, progress: Callable[[str, int, int], None] | None = None
) -> dict[str, Rsm]:
    """Matched sums of all pairs of token sets (n, t, d) by every matching, readable in every kernel.

    pooled: inner products of the mean tokens. spatio-semantic: tokens at the same position. maxsim: every token of one
    set with its best in the other. chamfer: the mean of MaxSim both ways. semantic: the optimal one-to-one matching.
    progress: called with the similarity, pairs done and all pairs. Raises what `rsm` raises.
    """
    found: dict[str, Rsm] = {}
    for name, matching in MATCHINGS.items():
        told = None if progress is None else _named(progress, name)
        sets = _pooled(tokens) if name == "pooled" else tokens
        if name == "chamfer":
            found[name] = _both_ways(found["maxsim"])
        else:
            found[name] = rsm(sets, matching=matching, threads=threads, progress=told)
    return found


def agreement(
    rsms: Mapping[str, Rsm],
    divergence: Floats,
    *,
    resamples: int = 1000,
    seed: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Agreement:
    """Correlate each similarity, in each kernel, with the negative divergence of the predictions.

        r = correlation over i < j of similarity(i, j) with -JSD(p_i, p_j)

    rsms: as `similarities` gives them; each is read in three kernels, RBF with the paper's sigma, the root of its own
    median matched squared distance. divergence: (n, n) bits, as `jensen_shannon_matrix` gives it. MaxSim, which is not
    symmetric, is taken from the earlier to the later image: one value a pair, as of the others.
    Intervals resample images, since pairs share them (`compare.bootstrap`); every correlation sees the same resamples,
    so that differences are paired. progress: called with correlations done and all.
    Raises InvalidInput as `compare.correlate` does, and unless "semantic" is among the similarities.
    """
    if "semantic" not in rsms:
        raise InvalidInput(f"there is no semantic similarity among {', '.join(rsms) or 'none'}", field="rsms")
    sigmas, left_out = _sigmas(rsms)
    values = {
        (name, kernel.value): one_way(one.read(kernel, sigmas.get(name)))
        for kernel in KERNELS
        for name, one in rsms.items()
        if kernel is not Kernel.RBF or name in sigmas
    }
    drawn: dict[Key, BootstrapInterval] = {}
    for method in METHODS:
        for (name, kernel), matrix in values.items():
            drawn[method, name, kernel] = bootstrap(
                matrix, -divergence, method=method, resamples=resamples, level=_LEVEL, seed=seed
            )
            if progress is not None:
                progress(len(drawn), len(METHODS) * len(values))
    return Agreement(
        divergence=divergence,
        values=values,
        sigmas=sigmas,
        correlations={key: Estimate(one.value, one.low, one.high) for key, one in drawn.items()},
        differences=_differences(drawn),
        left_out=left_out,
    )


def _sigmas(rsms: Mapping[str, Rsm]) -> tuple[dict[str, float], dict[str, str]]:
    """The paper's sigma of every similarity that has one, and why the others have none."""
    sigmas, left_out = {}, {}
    for name, one in rsms.items():
        try:
            sigmas[name] = one.median_sigma()
        except InvalidInput as error:
            left_out[name] = str(error)
    return sigmas, left_out


def one_way(matrix: Floats) -> Floats:
    """The matrix with its upper triangle on both sides: itself when it is symmetric."""
    upper = np.triu(matrix)
    return np.asarray(upper + np.triu(matrix, 1).T)


def _differences(drawn: Mapping[Key, BootstrapInterval]) -> dict[Key, Estimate]:
    """Semantic less every other similarity of the same method and kernel."""
    found = {}
    for (method, name, kernel), theirs in drawn.items():
        ours = drawn.get((method, "semantic", kernel))
        if name != "semantic" and ours is not None:
            found[method, name, kernel] = _less(ours, theirs)
    return found


def _less(ours: BootstrapInterval, theirs: BootstrapInterval) -> Estimate:
    """Ours less theirs, with the interval of the differences over the same resamples of images."""
    low, high = np.nanquantile(ours.samples - theirs.samples, ((1 - _LEVEL) / 2, (1 + _LEVEL) / 2))
    return Estimate(ours.value - theirs.value, float(low), float(high))


def _both_ways(maxsim: Rsm) -> Rsm:
    """Chamfer from the MaxSim of all ordered pairs: the mean of the two directions, without finding partners again."""
    return replace(maxsim, sums=(maxsim.sums + maxsim.sums.T) / 2, matching=Matching.CHAMFER)


def _named(progress: Callable[[str, int, int], None], name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, done, total)


def _pooled(tokens: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sets of one token each, the mean, as (n, 1, d) float32."""
    return np.asarray(tokens.mean(axis=1, keepdims=True, dtype=np.float64), np.float32)
