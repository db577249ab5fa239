"""What a recall study is asked and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching import Kernel
from setwise_evaluation.retrieval import Estimate

__all__ = ["Advice", "Choice", "Curve", "DefaultAnswers", "Draws", "Progress", "Query", "RecallStudy", "Setting"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


class Draws(NamedTuple):
    """How the bootstrap draws queries."""

    seed: int
    resamples: int


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: a set that is comparable with the collection's. own: id of the image in the collection that it is,
    which is left out of its own answers; None for one from elsewhere."""

    name: str
    features: FeatureSet
    own: str | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """A coarse vector and the index that holds it.

    coarse: kind, of `setwise_engine.coarse.KINDS`. index: what `faiss.index_factory` is asked for; "Flat" stands for
    the exact coarse order, which an index of that kind and a collection without one both give. present: the collection
    as it is, its own index and the images that the index does not cover. dims: numbers in a coarse vector.
    bytes_per_image: of the vector in the segments (float32) and of the index. lists, probes: of an index of lists, 0
    without.
    """

    coarse: str
    index: str
    present: bool
    dims: int
    bytes_per_image: float
    lists: int = 0
    probes: int = 0

    @property
    def name(self) -> str:
        """As tables have it."""
        probes = f", {self.probes} of {self.lists} lists" if self.lists else ""
        return f"{self.index}{probes}{', as it is' if self.present else ''}"

    @property
    def separate(self) -> bool:
        """Whether the first candidates depend on how many are asked for."""
        return "HNSW" in self.index

    def scored(self, images: int) -> float:
        """Coarse vectors that one query is multiplied with, the centres of lists included."""
        return self.lists + images * self.probes / self.lists if self.lists else float(images)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What one setting recalls.

    found: (queries, counts) int64, how many of the exact top k are among the first candidates. recall: the mean share
    and its interval over queries, one a count. worst: the share of the worst query. complete: share of queries whose
    whole top k is found. nominal_ms: see `nominal_ms`. coarse_ms: median wall time of one query's recall, one thread.
    """

    setting: Setting
    found: NDArray[np.int64]
    recall: tuple[Estimate, ...]
    worst: tuple[float, ...]
    complete: tuple[Estimate, ...]
    nominal_ms: tuple[float, ...]
    coarse_ms: float


@dataclass(frozen=True, slots=True)
class DefaultAnswers:
    """What the answers are that a search gives unless it is told otherwise, through the collection's own recall.

    candidates: how many it recalls for k. certified: share of queries whose certificate covers every image (scope
    "collection"). covered: mean share of the images that the certificate covers. sound: share of queries in which every
    candidate that was not solved is bounded below the k-th score: 1, or the engine is at fault. exact: share of queries
    whose answer is, score for score, the exact one all the same. recall: of the exact top k. solved: mean number of
    candidates solved to the optimum. rerank_ms: median wall time of the exact stage.
    """

    candidates: int
    certified: float
    covered: float
    sound: float
    exact: Estimate
    recall: Estimate
    solved: float
    rerank_ms: float


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting and a number of candidates, what they recall and cost, and the commands that bring them about.

    complete: share of queries whose whole top k is found. nominal_ms: see `nominal_ms`.
    """

    setting: Setting
    candidates: int
    recall: Estimate
    complete: Estimate
    nominal_ms: float
    how: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """Which setting to use for a wanted recall: the lower end of its interval reaches it.

    present: the fewest candidates of the collection as it is; None when none of the counts reaches it. cheapest: of all
    settings, but the present one where no other saves a tenth of its cost; None when none reaches it. nearest: the
    highest lower end of all. text: all of that in sentences.
    """

    wanted: float
    present: Choice | None
    cheapest: Choice | None
    nearest: Choice
    text: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RecallStudy:
    """Recall of the exact top k by every coarse vector and setting, in one version of one collection.

    images: that may be found: the live ones, or those that pass the filter. k: as asked, or as many as every query can
    have. counts: numbers of candidates. queries: their names. tied: how many of them have images that tie for the k-th
    place. exact_scores: (queries, k) float64, best first. curves: the present setting first. notes: sentences on what
    the collection could not give. exact_ms: median wall time of one exhaustive search. pool_ms: of one query's coarse
    vector, by kind. seconds: of all.
    """

    collection: str
    version: int
    images: int
    coarse: str
    kernel: Kernel
    k: int
    counts: tuple[int, ...]
    queries: tuple[str, ...]
    tied: int
    exact_scores: NDArray[np.float64]
    curves: tuple[Curve, ...]
    default: DefaultAnswers
    advice: Advice
    notes: tuple[str, ...]
    exact_ms: float
    pool_ms: Mapping[str, float]
    seconds: float
