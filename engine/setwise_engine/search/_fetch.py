"""From ranked candidates to hits: what is stored about them, and why they scored as they did."""

from __future__ import annotations

from collections.abc import Sequence

from setwise_engine.collection import Snapshot, StoredImage
from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching import Match, affinity, describe, half
from setwise_engine.search._answer import Hit
from setwise_engine.search._contender import Contender, Stored
from setwise_engine.search._options import Options
from setwise_engine.search._rank import Check, Ranked

__all__ = ["fetch"]


def fetch(
    snapshot: Snapshot, query: FeatureSet, ranked: Sequence[Ranked], options: Options, *, sigma: float, check: Check
) -> tuple[Hit, ...]:
    """The hits of ranked candidates, with what the options ask for."""
    keys = [one.contender.key for one in ranked if isinstance(one.contender, Stored)]
    stored = iter(snapshot.stored(keys, metadata=options.metadata, thumbnails=options.thumbnails))
    hits = []
    for one in ranked:
        check()
        explained = _explain(query, one, sigma) if options.scores or options.matches else None
        image = next(stored) if isinstance(one.contender, Stored) else _as_stored(one.contender)
        hits.append(
            Hit(
                id=image.id,
                score=one.score,
                metadata=image.metadata,
                image_size=image.image_size,
                grid=image.grid,
                thumbnail=image.thumbnail,
                scores=explained.scores if explained and options.scores else None,
                match=explained if options.matches else None,
            )
        )
    return tuple(hits)


def _explain(query: FeatureSet, ranked: Ranked, sigma: float) -> Match:
    features = ranked.contender.features()
    return describe(query, features, affinity(half(query), half(features)), ranked.pairs, sigma=sigma)


def _as_stored(contender: Contender) -> StoredImage:
    features = contender.features()
    return StoredImage(contender.id, {}, features.image_size, features.grid, len(features), b"")
