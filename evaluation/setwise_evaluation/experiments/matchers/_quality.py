"""What an approximation loses: of the matched sum, and of the RSM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_engine.matching import MatchedSums, TokenSets
from setwise_evaluation.compare import correlate
from setwise_evaluation.experiments.matchers._variants import EXACT, Variant, variants_for
from setwise_evaluation.matchers import Matching, matched_tile

__all__ = ["BASELINES", "FEWEST", "Quality", "quality"]

Floats = NDArray[np.float64]

FEWEST = 10
"""From how many images on a correlation of two RSMs is told: 45 pairs."""

BASELINES = (Variant("same positions", Matching.NONE), Variant("Chamfer", Matching.CHAMFER))
"""What pairs no tokens one to one by affinity: to be compared by RSMs only."""


@dataclass(frozen=True, slots=True)
class Quality:
    """One matcher at one size; None where a number means nothing.

    tokens, pairs: tokens a set, and pairs of different images. loss: (optimum - value) / optimum, median over pairs.
    worst: the largest of them. certified: (certified upper bound - value) / optimum, median: what is known of the loss
    without solving exactly. pearson, spearman: of the cosine RSM with the exact one over pairs of different images.
    """

    tokens: int
    matcher: str
    pairs: int
    loss: float | None
    worst: float | None
    certified: float | None
    pearson: float | None
    spearman: float | None


def quality(
    tokens: NDArray[np.floating], *, threads: int = 1, progress: Callable[[str], None] | None = None
) -> list[Quality]:
    """Every matcher on all pairs of images of one size, and for comparison no matching at all.

    tokens: (n, t, d) of n >= 2 images. Losses are relative to the optimum of the same pair. The two baselines pair no
    tokens one to one by affinity, so that only their RSMs are compared, where there are `FEWEST` images. progress:
    called with a matcher's name before it begins. Raises InvalidInput for other shapes.
    """
    if tokens.ndim != 3 or len(tokens) < 2:
        raise InvalidInput(f"tokens have shape {tokens.shape}; give (images, tokens, numbers) of 2 images or more")
    sets = TokenSets(tokens)
    norms = np.sqrt(np.outer(sets.squares, sets.squares))
    found: list[Quality] = []
    best: Floats | None = None
    for variant in [*variants_for(tokens.shape[1]), *(BASELINES if len(sets) >= FEWEST else ())]:
        if progress is not None:
            progress(variant.name)
        tile = matched_tile(variant.matching, sets, options=variant.options, threads=threads)
        best = tile.values if best is None else best
        found.append(_compared(variant, tokens.shape[1], tile, best, norms))
    return found


def _compared(variant: Variant, tokens: int, tile: MatchedSums, best: Floats, norms: Floats) -> Quality:
    upper = np.triu_indices(len(best), k=1)
    pearson = spearman = loss = worst = certified = None
    if variant.name != EXACT and len(best) >= FEWEST:
        pearson, spearman = (
            correlate(tile.values / norms, best / norms, method=how) for how in ("pearson", "spearman")
        )
    if variant not in BASELINES:
        scale = np.abs(best[upper])
        losses = (best - tile.values)[upper] / scale
        loss, worst = float(np.median(losses)), float(losses.max())
        certified = float(np.median(tile.gaps[upper] / scale))
    return Quality(tokens, variant.name, len(upper[0]), loss, worst, certified, pearson, spearman)
