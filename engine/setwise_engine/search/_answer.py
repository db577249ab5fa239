"""What a search returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from setwise_engine.collection import MetadataValue
from setwise_engine.feature_set import Grid, ImageSize
from setwise_engine.matching import Match, Scores

__all__ = ["Answer", "Hit", "Scope"]


class Scope(StrEnum):
    """What an answer's proof covers: the recalled candidates, or every image of the collection."""

    CANDIDATES = "candidates"
    COLLECTION = "collection"


@dataclass(frozen=True, slots=True, eq=False)
class Hit:
    """One image that was found.

    score: under the asked kernel. image_size, grid: of the original and of its tokens, None when unknown.
    scores, match: None unless asked for. thumbnail: JPEG bytes, b"" unless asked for and stored.
    """

    id: str
    score: float
    metadata: Mapping[str, MetadataValue]
    image_size: ImageSize | None
    grid: Grid | None
    thumbnail: bytes = b""
    scores: Scores | None = None
    match: Match | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Hits, best first, equal scores by the UTF-8 bytes of their ids, with what was proven and what it took.

    recalled = pruned + solved: candidates; those whose upper bound showed that they cannot be hits; those solved.
    kth_score: of the last place among the first k solved, before min_score; None when nothing was solved.
    highest_pruned_bound: below kth_score, or below min_score; None when nothing was pruned.
    recall_s, rerank_s, fetch_s: wall time of the stages in seconds. version: of the collection that was searched.
    missing: ids that were asked for and that the collection does not hold (rerank only).
    """

    hits: tuple[Hit, ...]
    scope: Scope
    collection_size: int
    recalled: int
    pruned: int
    solved: int
    kth_score: float | None
    highest_pruned_bound: float | None
    recall_s: float
    rerank_s: float
    fetch_s: float
    version: int
    missing: tuple[str, ...] = ()
