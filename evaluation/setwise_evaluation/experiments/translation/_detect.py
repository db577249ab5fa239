"""How well a similarity finds every image's shifted twin among all images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput
from setwise_evaluation.retrieval import Estimate

__all__ = ["Detection", "Draws", "detect", "difference"]

Floats = NDArray[np.float64]
_ENDS = (0.025, 0.975)


class Draws:
    """Bootstrap samples of n images, the same for everything that is compared, so that differences are paired."""

    def __init__(self, images: int, *, resamples: int = 2_000, seed: int = 1) -> None:
        """counts: (resamples, images) float64, how often each sample holds each image.

        Raises InvalidInput for fewer than two images.
        """
        if images < 2:
            raise InvalidInput(f"{images} images: a twin is found among others; give at least 2", field="images")
        rng = np.random.default_rng(seed)
        chances = np.full(images, 1.0 / images)
        self.counts = rng.multinomial(images, chances, size=resamples).astype(np.float64)

    def means(self, values: Floats) -> Floats:
        """(resamples,) float64: the mean of `values` (n,), one an image, over the images of each sample."""
        return np.asarray(self.counts @ values / len(values))


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """How one similarity does at one overlap.

    ranks: (n,) float64, the twin's place among all n shifted crops, 1 for the most similar; ties share their mean.
    top1, mrr: share of images whose twin comes first, and mean of 1 / rank. auc: the chance that a twin's similarity
    exceeds that of an unrelated pair. Each with its 95 % bootstrap interval over images; `samples` are its replicates.
    """

    ranks: Floats
    top1: Estimate
    mrr: Estimate
    auc: Estimate
    samples: dict[str, Floats]


def detect(similarities: Floats, draws: Draws) -> Detection:
    """Measures of (n, n) float64 similarities of first crops (rows) with shifted crops; twins are on the diagonal.

    A tie with the twin counts half a place. In a bootstrap sample, which draws whole images, the unrelated pairs are
    those of two different images, so that an image drawn twice is never unrelated to itself.
    """
    twins = np.diagonal(similarities)[:, None]
    ties = (similarities == twins).sum(axis=1) - 1.0
    ranks = 1.0 + (similarities > twins).sum(axis=1) + ties / 2.0
    values = {"top1": np.asarray(ranks == 1.0, np.float64), "mrr": 1.0 / ranks}
    samples = {name: draws.means(value) for name, value in values.items()}
    auc, samples["auc"] = _auc(similarities, draws.counts)
    means = {name: float(value.mean()) for name, value in values.items()} | {"auc": auc}
    estimates = {name: _estimate(means[name], samples[name]) for name in means}
    return Detection(ranks, estimates["top1"], estimates["mrr"], estimates["auc"], samples)


def difference(ours: Detection, theirs: Detection, measure: str) -> Estimate:
    """`measure` ("top1", "mrr" or "auc") of ours minus theirs, with the paired 95 % interval over the same images."""
    value = getattr(ours, measure).value - getattr(theirs, measure).value
    return _estimate(value, ours.samples[measure] - theirs.samples[measure])


def _estimate(value: float, samples: Floats) -> Estimate:
    low, high = np.quantile(samples, _ENDS)
    return Estimate(value, float(low), float(high))


def _auc(similarities: Floats, counts: Floats) -> tuple[float, Floats]:
    """Area under the ROC curve of all images, and of every sample: (resamples,) float64.

    Mann and Whitney's statistic with weights: a pair of images (j, k) counts as often as both were drawn together.
    Pairs are sorted once into bins that the twins bound: the odd bins hold those that equal a twin.
    """
    n = len(similarities)
    edges, own = np.unique(np.diagonal(similarities), return_inverse=True)
    bins = sum(np.searchsorted(edges, similarities.ravel(), side) for side in ("left", "right"))
    every = np.array([_weighted(weights, np.asarray(bins), own, n) for weights in (np.ones(n), *counts)])
    return float(every[0]), every[1:]


def _weighted(weights: Floats, bins: NDArray[np.intp], own: NDArray[np.intp], n: int) -> float:
    """One sample's area; `bins` of all pairs, and `own`, the twins' places among the edges."""
    pairs = np.outer(weights, weights)
    np.fill_diagonal(pairs, 0.0)
    passed = np.cumsum(np.bincount(bins, pairs.ravel(), minlength=2 * n + 1))
    if passed[-1] == 0.0:
        return 0.5  # one image drawn n times over: there is no unrelated pair to compare with
    return float(weights @ (passed[2 * own] + passed[2 * own + 1]) / (2.0 * passed[-1] * weights.sum()))
