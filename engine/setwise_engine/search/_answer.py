"""What a search returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from setwise_engine.collection import MetadataValue
from setwise_engine.feature_set import Grid, ImageSize
from setwise_engine.matching import Assignment, Indices, Kernel, Match, Scores, Stages

__all__ = ["Answer", "Check", "Hit", "Scope"]

Check: TypeAlias = Callable[[], None]
"""Raises DeadlineError or CancelledError when the caller no longer waits."""


class Scope(StrEnum):
    """What an answer's proof covers: the recalled candidates, every image that passes the filter, or only those that
    were examined before the time ran out."""

    CANDIDATES = "candidates"
    COLLECTION = "collection"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True, eq=False)
class Hit:
    """One image that was found.

    score: under the asked kernel. image_size, grid: of the original and of its tokens, None when unknown.
    scores, match, proof: None unless asked for. match: tokens of the whole query set, also when a region was asked for.
    proof: of the matching that ranked; its rows are the query's tokens that took part, all or `Answer.query_tokens`.
    thumbnail: JPEG bytes, b"" unless asked for and stored. group: the value that it was grouped by; None for an image
    without the field, and without groups.
    """

    id: str
    score: float
    metadata: Mapping[str, MetadataValue]
    image_size: ImageSize | None
    grid: Grid | None
    thumbnail: bytes = b""
    scores: Scores | None = None
    match: Match | None = None
    proof: Assignment | None = None
    group: MetadataValue = None


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Hits, best first, equal scores by the UTF-8 bytes of their ids, with what was proven and what it took.

    kernel: what ranked. collection_size: images in all; matching: those that pass the filter, all without one.
    recalled: candidates, each of them ruled out, solved or unexamined. stages: how many each ruled out.
    unexamined: candidates that were left when the time ran out; 0 unless the scope is PARTIAL.
    kth_score: of the last place among the first k solved, before min_score; None when nothing was solved. With groups,
    of the last place that was solved to fill them.
    highest_pruned_bound: below kth_score, or below min_score; None when nothing was pruned.
    largest_gap: the largest gap between matched sum and prices among the hits; None when no proofs were asked for.
    recall_s, rerank_s, fetch_s: wall time of the stages in seconds. version: of the collection that was searched.
    missing: ids that were asked for and that the collection does not hold (rerank only).
    query_tokens: (q,) tokens of the query that took part; None for all of them (no region).
    warnings: sentences for people on what the answer may lack.
    """

    hits: tuple[Hit, ...]
    kernel: Kernel
    scope: Scope
    collection_size: int
    matching: int
    recalled: int
    stages: Stages
    kth_score: float | None
    highest_pruned_bound: float | None
    largest_gap: float | None
    recall_s: float
    rerank_s: float
    fetch_s: float
    version: int
    missing: tuple[str, ...] = ()
    query_tokens: Indices | None = None
    warnings: tuple[str, ...] = field(default=())
    unexamined: int = 0

    @property
    def solved(self) -> int:
        """Candidates whose assignment was solved to the optimum."""
        return self.stages.solved

    @property
    def pruned(self) -> int:
        """Candidates whose upper bound showed that they cannot be hits."""
        return self.recalled - self.solved - self.unexamined
