"""The study itself, of tokens in memory: for notebooks, tests and the command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import FeatureError
from setwise_evaluation.experiments.translation._detect import Detection, Draws, detect
from setwise_evaluation.matchers import Matching
from setwise_evaluation.report import style
from setwise_evaluation.rsm import rsm

__all__ = ["KERNELS", "NAMES", "Key", "Translation", "readings", "translation"]

Tokens = NDArray[np.float32]
Floats = NDArray[np.float64]
Key = tuple[float, str, str]
"""Overlap, similarity, kernel."""

KERNELS = {"cosine": "cosine", "inner_product": "inner product", "rbf": "RBF"}
"""The kernels in their order, and how people write them."""

NAMES = tuple(style.SIMILARITIES)
"""The similarities in the order in which all figures and tables have them."""


@dataclass(frozen=True, slots=True, eq=False)
class Translation:
    """What `translation` found.

    overlaps: largest first. detections: by (overlap, similarity, kernel). matrices: cosines by (overlap,
    similarity), (n, n) float64, first crops in rows and shifted crops in columns.
    """

    overlaps: tuple[float, ...]
    detections: Mapping[Key, Detection]
    matrices: Mapping[tuple[float, str], Floats]


def translation(
    first: Tokens,
    shifted: Iterable[tuple[float, Tokens]],
    *,
    seed: int = 1,
    resamples: int = 2_000,
    threads: int = 1,
    progress: Callable[[float], None] | None = None,
) -> Translation:
    """How well each similarity, in each kernel, finds the shifted crop of the same image.

    first: (n, t, d) float32 tokens of n images' first crops. shifted: overlaps and the tokens of the shifted crops, of
    the same images in the same order; read one after the other, so that a generator keeps one in memory. seed,
    resamples: of the bootstrap over images. threads: of the matching; results do not depend on it. progress: called
    with each overlap before it is computed.
    Raises FeatureError for shapes that differ, and InvalidInput for fewer than two images.
    Source: Wald et al., NeurIPS 2024, the experiment on translation: partially overlapping crops of the same image.
    """
    draws = Draws(len(first), resamples=resamples, seed=seed)
    detections: dict[Key, Detection] = {}
    matrices: dict[tuple[float, str], Floats] = {}
    for overlap, second in shifted:
        if second.shape != first.shape:
            raise FeatureError(
                f"the crops shifted to an overlap of {overlap:g} have tokens of shape {second.shape}, the first ones "
                f"{first.shape}; give both for the same images and network"
            )
        if progress is not None:
            progress(overlap)
        for name, matrix in readings(first, second, threads=threads).items():
            for kernel, values in matrix.items():
                detections[overlap, name, kernel] = detect(values, draws)
            matrices[overlap, name] = matrix["cosine"]
    return Translation(tuple(sorted({key[0] for key in detections}, reverse=True)), detections, matrices)


def readings(first: Tokens, second: Tokens, *, threads: int = 1) -> dict[str, dict[str, Floats]]:
    """Similarity of all first sets (n, t, d) with all second ones: by similarity, then by kernel, (n, n) float64.

    pooled: of the mean tokens. spatio-semantic: tokens at the same position. maxsim: every token of the first set with
    its best in the second. chamfer: the mean of MaxSim both ways. semantic: the optimal matching. One pass over the
    pairs a similarity; its kernels are read from the same sums. In the RBF sigma is the paper's, the square root of the
    median squared distance of all pairs; MaxSim and Chamfer, whose sums belong to no distance (they may exceed the
    squared norms), take that of the semantic matching. Ranks and ROC do not depend on sigma.
    """
    pooled = rsm(_pooled(first), _pooled(second), matching=Matching.NONE, threads=threads)
    maxsim = rsm(first, second, matching=Matching.MAXSIM, threads=threads)
    back = rsm(second, first, matching=Matching.MAXSIM, threads=threads)
    found = {
        "pooled": pooled,
        "spatio-semantic": rsm(first, second, matching=Matching.NONE, threads=threads),
        "maxsim": maxsim,
        # What rsm(matching="chamfer") gives, without finding the first direction again.
        "chamfer": replace(maxsim, sums=(maxsim.sums + back.sums.T) / 2.0, matching=Matching.CHAMFER),
        "semantic": rsm(first, second, matching=Matching.EXACT, threads=threads),
    }
    like = {"maxsim": "semantic", "chamfer": "semantic"}
    sigmas = {name: found[like.get(name, name)].median_sigma() for name in found}
    return {name: {kernel: matrix.read(kernel, sigmas[name]) for kernel in KERNELS} for name, matrix in found.items()}


def _pooled(tokens: Tokens) -> Tokens:
    """Sets of one token each, the mean, as (n, 1, d) float32."""
    return np.asarray(tokens.mean(axis=1, keepdims=True, dtype=np.float64), np.float32)
