"""Search over one collection: coarse recall, then the exact ranking of what was recalled."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from setwise_engine.collection import Collection, Snapshot
from setwise_engine.errors import EngineError, InvalidInput, NotFound
from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching import Match, match
from setwise_engine.search._answer import Answer, Scope
from setwise_engine.search._contender import Contender, Given, Stored
from setwise_engine.search._fetch import fetch
from setwise_engine.search._options import Options, default_candidates
from setwise_engine.search._query import comparable
from setwise_engine.search._rank import Check, no_check, rank

__all__ = ["Searcher"]


class Searcher:
    """Searches one collection; safe from many threads. Every call reads one version of the collection."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._encoder = collection.encoder
        self._prune = True

    def search(self, query: FeatureSet, options: Options | None = None, check: Check = no_check) -> Answer:
        """The images most similar to a set, raw or encoded.

        Raises Incompatible when the set was not made for this collection, FeatureError when its tokens cannot be
        encoded, and what `check` raises.
        """
        comparable_query = comparable(query, self._encoder)
        with self._collection.snapshot() as snapshot:
            return self._search(snapshot, comparable_query, options or Options(), check)

    def search_id(self, id: str, options: Options | None = None, check: Check = no_check) -> Answer:
        """The images most similar to a stored one, by its stored tokens; it is among the answers itself.

        Raises NotFound when the collection has no such image.
        """
        with self._collection.snapshot() as snapshot:
            return self._search(snapshot, _stored_features(snapshot, id), options or Options(), check)

    def features(self, id: str) -> FeatureSet:
        """The encoded set of a stored image. Raises NotFound."""
        with self._collection.snapshot() as snapshot:
            return _stored_features(snapshot, id)

    def rerank(
        self,
        query: FeatureSet,
        ids: Sequence[str],
        sets: Sequence[tuple[str, FeatureSet]],
        options: Options | None = None,
        check: Check = no_check,
    ) -> Answer:
        """The caller's own candidates in exact order: stored images by id, and sets given whole under other names.

        Ids that the collection does not hold are reported as missing. Raises InvalidInput when two candidates share an
        id or options.candidates is set, and Incompatible naming the set that does not fit.
        """
        options = options or Options()
        if options.candidates is not None:
            raise InvalidInput(
                "a rerank has its candidates given; leave the option candidates unset", field="candidates"
            )
        _check_distinct([*ids, *(id for id, _ in sets)])
        comparable_query = comparable(query, self._encoder)
        given = [Given(id, self._given(id, features)) for id, features in sets]
        with self._collection.snapshot() as snapshot:
            keys = snapshot.keys(ids)
            stored = [Stored(id, key, snapshot) for id, key in zip(ids, keys, strict=True) if key is not None]
            missing = tuple(id for id, key in zip(ids, keys, strict=True) if key is None)
            return self._answer(
                snapshot, comparable_query, [*stored, *given], options, check, recall_s=0.0, missing=missing
            )

    def compare(self, a: FeatureSet, b: FeatureSet) -> Match:
        """Every score of two sets and which token matched which, through the collection's encoder and sigma.

        Raises Incompatible when one of them was not made for this collection.
        """
        return match(comparable(a, self._encoder), comparable(b, self._encoder), sigma=self._encoder.sigma)

    def _given(self, id: str, features: FeatureSet) -> FeatureSet:
        try:
            return comparable(features, self._encoder)
        except EngineError as error:
            raise type(error)(f"candidate {id!r}: {error}", field="candidates") from error

    def _search(self, snapshot: Snapshot, query: FeatureSet, options: Options, check: Check) -> Answer:
        started = time.perf_counter()
        check()
        wanted = options.candidates or default_candidates(options.k)
        keys = [candidate.key for candidate in snapshot.recall(self._collection.coarse.pool(query.tokens), wanted)]
        snapshot.prefetch(keys)
        contenders = [Stored(id, key, snapshot) for id, key in zip(snapshot.ids(keys), keys, strict=True)]
        scope = Scope.COLLECTION if len(keys) == len(snapshot) else Scope.CANDIDATES
        recall_s = time.perf_counter() - started
        return self._answer(snapshot, query, contenders, options, check, scope=scope, recall_s=recall_s)

    def _answer(
        self,
        snapshot: Snapshot,
        query: FeatureSet,
        contenders: Sequence[Contender],
        options: Options,
        check: Check,
        *,
        scope: Scope = Scope.CANDIDATES,
        recall_s: float = 0.0,
        missing: tuple[str, ...] = (),
    ) -> Answer:
        started = time.perf_counter()
        sigma = self._encoder.sigma
        ranking = rank(query, contenders, options, sigma=sigma, check=check, prune=self._prune)
        ranked = time.perf_counter()
        wanted = [one for one in ranking.best if options.min_score is None or one.score >= options.min_score]
        hits = fetch(snapshot, query, wanted, options, sigma=sigma, check=check)
        return Answer(
            hits=hits,
            scope=scope,
            collection_size=len(snapshot),
            recalled=len(contenders),
            pruned=ranking.pruned,
            solved=ranking.solved,
            kth_score=ranking.best[-1].score if ranking.best else None,
            highest_pruned_bound=ranking.highest_pruned_bound,
            recall_s=recall_s,
            rerank_s=ranked - started,
            fetch_s=time.perf_counter() - ranked,
            version=snapshot.version,
            missing=missing,
        )


def _stored_features(snapshot: Snapshot, id: str) -> FeatureSet:
    [key] = snapshot.keys([id])
    if key is None:
        raise NotFound(f"the collection has no image {id!r}; list its ids to see what it holds", field="id")
    return snapshot.features(key)


def _check_distinct(ids: Iterable[str]) -> None:
    seen: set[str] = set()
    for id in ids:
        if id in seen:
            raise InvalidInput(f"candidate {id!r} is given twice; give every candidate an id of its own", field="ids")
        seen.add(id)
