"""From ranked candidates to hits: what is stored about them, and why they scored as they did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from setwise_engine.collection import MetadataValue, Snapshot, StoredImage
from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching import Assignment, Describer, Kernel, Match, Ranked, Ranker, block_of, half
from setwise_engine.search._answer import Check, Hit
from setwise_engine.search._options import Options
from setwise_engine.search._region import Part

__all__ = ["Explainer", "Given", "fetch", "rank_pair"]

Given = Mapping[int, tuple[str, FeatureSet]]
"""Sets that the caller brought along, by their keys, which are negative: id and comparable set."""


@dataclass(frozen=True, slots=True)
class Explainer:
    """Says why sets score as they do beside one query, under one kernel."""

    query: Part
    kernel: Kernel
    sigma: float
    describer: Describer

    @classmethod
    def of(cls, query: Part, kernel: Kernel, sigma: float) -> Explainer:
        """For this query."""
        return cls(query, kernel, sigma, Describer(query.features, sigma=sigma))

    def match(self, features: FeatureSet, ranked: Ranked, check: Check) -> Match:
        """Every score and the matched tokens, as indices in the whole query set."""
        contained = self.kernel is Kernel.CONTAINMENT
        found = self.describer.match(
            features,
            ranked.columns,
            (ranked.row_prices, ranked.column_prices),
            matched_sum=self._matched_sum(features, check) if contained else ranked.matched_sum,
            containment=ranked.score if contained else None,
            check=check,
        )
        return replace(found, rows=self.query.places(found.rows))

    def proof(self, features: FeatureSet, ranked: Ranked, check: Check) -> Assignment:
        """What was solved: pairs in the order of the query's tokens, and the prices that prove them."""
        prices = ranked.row_prices, ranked.column_prices
        contained = self.kernel is Kernel.CONTAINMENT
        return self.describer.proof(features, ranked.columns, prices, contained=contained, check=check)

    def _matched_sum(self, features: FeatureSet, check: Check) -> float:
        """L, where the ranking solved another matching."""
        return rank_pair(self.query.features, features, Kernel.INNER_PRODUCT, self.sigma, check).matched_sum


def rank_pair(q: FeatureSet, x: FeatureSet, kernel: Kernel, sigma: float, check: Check) -> Ranked:
    """The optimal matching of two sets under a kernel."""
    ranker = Ranker(half(q), k=1, kernel=kernel, sigma=sigma)
    ranker.add({0: block_of([half(x)], x.dims)}, np.zeros(1, np.int64), check)
    return ranker.result().finalists[0]


def fetch(
    snapshot: Snapshot,
    query: Part,
    ranked: Sequence[tuple[str, Ranked]],
    given: Given,
    options: Options,
    *,
    kernel: Kernel,
    sigma: float,
    check: Check,
    groups: Mapping[int, MetadataValue],
) -> tuple[Hit, ...]:
    """The hits of ranked candidates, with what the options ask for. ranked: ids and rankings, best first.

    groups: by key, the values that they were grouped by.
    """
    keys = [one.key for _, one in ranked if one.key not in given]
    stored = iter(snapshot.stored(keys, metadata=options.metadata, thumbnails=options.thumbnails))
    explain = Explainer.of(query, kernel, sigma) if options.scores or options.matches or options.proofs else None
    hits = []
    for id, one in ranked:
        check()
        image = _as_stored(id, given[one.key][1]) if one.key in given else next(stored)
        explained = proof = None
        if explain is not None:
            features = given[one.key][1] if one.key in given else snapshot.features(one.key)
            explained = explain.match(features, one, check) if options.scores or options.matches else None
            proof = explain.proof(features, one, check) if options.proofs else None
        hits.append(
            Hit(
                id=id,
                score=one.score,
                metadata=image.metadata,
                image_size=image.image_size,
                grid=image.grid,
                thumbnail=image.thumbnail,
                scores=explained.scores if explained and options.scores else None,
                match=explained if options.matches else None,
                proof=proof,
                group=groups.get(one.key),
            )
        )
    return tuple(hits)


def _as_stored(id: str, features: FeatureSet) -> StoredImage:
    return StoredImage(id, {}, features.image_size, features.grid, len(features), b"")
