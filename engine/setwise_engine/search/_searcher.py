"""Search over one collection: coarse recall, then the exact ranking of what was recalled, or of everything."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Sequence

import numpy as np

from setwise_engine.collection import Collection, Snapshot
from setwise_engine.errors import EngineError, InvalidInput, NotFound
from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching import Kernel, Match, Ranker, Ranking, block_of, half, key_of, no_check
from setwise_engine.search._answer import Answer, Check, Scope
from setwise_engine.search._fetch import Explainer, Given, fetch, rank_pair
from setwise_engine.search._group import Grouped, Named, best_of_groups
from setwise_engine.search._options import Options, default_candidates
from setwise_engine.search._query import comparable
from setwise_engine.search._rank import rank_stored, until, with_the_rest
from setwise_engine.search._region import Part, Region

__all__ = ["Searcher"]

_GIVEN = -1
"""Number of the block that holds the sets which a caller brings along."""


class Searcher:
    """Searches one collection; safe from many threads. Every call reads one version of the collection.

    scan_threads: threads of one exhaustive search, None for all cores of this process: it is long, and alone as a rule.
    Other searches take one: they are short, and the calls that run at once share the cores.
    region_limit: collections of up to so many images are searched exhaustively for a region, because the coarse vectors
    of whole images recall their parts badly.
    """

    def __init__(self, collection: Collection, *, scan_threads: int | None = None, region_limit: int = 20_000) -> None:
        self._collection = collection
        self._encoder = collection.encoder
        self._scan_threads = scan_threads or _cores()
        self._region_limit = region_limit
        self._prune = True

    def search(
        self,
        query: FeatureSet,
        options: Options | None = None,
        check: Check = no_check,
        *,
        region: Region | None = None,
    ) -> Answer:
        """The images most similar to a set, raw or encoded, or to the region of it.

        Raises Incompatible when the set was not made for this collection, FeatureError when its tokens cannot be
        encoded, InvalidInput for a region that its grid does not show, and what `check` raises.
        """
        part = _part(comparable(query, self._encoder), region)
        with self._collection.snapshot() as snapshot:
            return self._search(snapshot, part, options or Options(), check)

    def search_id(
        self, id: str, options: Options | None = None, check: Check = no_check, *, region: Region | None = None
    ) -> Answer:
        """The images most similar to a stored one, by its stored tokens; it is among the answers itself.

        Raises NotFound when the collection has no such image.
        """
        with self._collection.snapshot() as snapshot:
            part = _part(_stored_features(snapshot, id), region)
            return self._search(snapshot, part, options or Options(), check)

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
        *,
        region: Region | None = None,
    ) -> Answer:
        """The caller's own candidates in exact order: stored images by id, and sets given whole under other names.

        Ids that the collection does not hold are reported as missing. Raises InvalidInput when two candidates share an
        id or the options say which images are candidates, and Incompatible naming the set that does not fit.
        """
        options = options or Options()
        for field in ("candidates", "exhaustive", "where", "group_by"):
            if getattr(options, field) not in (None, False):
                raise InvalidInput(f"a rerank has its candidates given; leave the option {field} unset", field=field)
        _check_distinct([*ids, *(id for id, _ in sets)])
        query = comparable(query, self._encoder)
        part = _part(query, region)
        given = {key_of(_GIVEN, row): (id, self._given(id, each, check)) for row, (id, each) in enumerate(sets)}
        started = time.perf_counter()
        with self._collection.snapshot() as snapshot:
            found = snapshot.keys(ids)
            keys = np.array([key for key in found if key is not None], np.int64)
            missing = tuple(id for id, key in zip(ids, found, strict=True) if key is None)
            ranker = self._ranker(part, options, options.k)
            if given:
                block = block_of([half(each) for _, each in given.values()], query.dims)
                with until(options.answer_by, check) as check_both:
                    ranker.add({_GIVEN: block}, np.array(list(given), np.int64), check_both)
            ranking = rank_stored(ranker, snapshot, iter([keys]), check, options.answer_by)
            best = _in_order(snapshot, ranking, given, options)[: options.k]
            return self._answer(
                snapshot,
                part,
                Grouped(ranking, best, {}),
                options,
                check,
                recalled=len(keys) + len(given),
                matching=len(snapshot),
                given=given,
                missing=missing,
                times=(started, started),
            )

    def compare(
        self,
        a: FeatureSet,
        b: FeatureSet,
        check: Check = no_check,
        *,
        kernel: Kernel | None = None,
        region_a: Region | None = None,
        region_b: Region | None = None,
    ) -> Match:
        """Every score of two sets, or of regions of them, and which token matched which.

        kernel: which matching is shown; None as in `Options`, by region_a. Containment is scored only when it is shown.
        Raises Incompatible when one of the sets was not made for this collection, and what `check` raises.
        """
        left = _part(comparable(a, self._encoder), region_a, "region_a")
        right = _part(comparable(b, self._encoder), region_b, "region_b")
        sigma, kernel = self._encoder.sigma, Options(kernel=kernel).kernel_for(region=left.is_region)
        ranked = rank_pair(left.features, right.features, kernel, sigma, check)
        found = Explainer.of(left, kernel, sigma).match(right.features, ranked, check)
        return Match(found.rows, right.places(found.columns), found.affinities, found.cosines, found.scores)

    def _given(self, id: str, features: FeatureSet, check: Check) -> FeatureSet:
        check()
        try:
            return comparable(features, self._encoder)
        except EngineError as error:
            raise type(error)(f"candidate {id!r}: {error}", field="candidates") from error

    def _search(self, snapshot: Snapshot, query: Part, options: Options, check: Check) -> Answer:
        started = time.perf_counter()
        check()
        passing = None if options.where is None else snapshot.matching(options.where, check)
        matching = len(snapshot) if passing is None else len(passing)
        exhaustive = self._is_exhaustive(matching, query, options)
        wanted = options.candidates or default_candidates(options.k)
        if query.is_region and not exhaustive:
            wanted = options.candidates or 5 * wanted
        recalled = snapshot.recall(self._collection.coarse.pool(query.features.tokens), wanted, passing)
        keys = np.array([candidate.key for candidate in recalled], np.int64)
        recall_ended = time.perf_counter()
        count = matching if exhaustive else len(keys)

        def rank(places: int) -> Ranking:
            chunks = iter([keys])
            if exhaustive:
                chunks = with_the_rest(keys, snapshot.live_keys() if passing is None else passing)
            ranker = self._ranker(query, options, places, threads=self._scan_threads if exhaustive else 1)
            return rank_stored(ranker, snapshot, chunks, check, options.answer_by)

        def in_order(ranking: Ranking) -> list[Named]:
            return _in_order(snapshot, ranking, {}, options)

        if options.group_by is None:
            ranking = rank(options.k)
            found = Grouped(ranking, in_order(ranking)[: options.k], {})
        else:
            found = best_of_groups(snapshot, rank, in_order, options, count)
        return self._answer(
            snapshot,
            query,
            found,
            options,
            check,
            recalled=count,
            matching=matching,
            times=(started, recall_ended),
            warnings=_warnings(query, options, matching, count, len(found.best)),
        )

    def _is_exhaustive(self, matching: int, query: Part, options: Options) -> bool:
        if options.exhaustive is not None or options.candidates is not None:
            return bool(options.exhaustive)
        return query.is_region and matching <= self._region_limit

    def _ranker(self, query: Part, options: Options, places: int, threads: int = 1) -> Ranker:
        return Ranker(
            half(query.features),
            k=max(1, places),
            kernel=options.kernel_for(region=query.is_region),
            sigma=self._encoder.sigma,
            least=-math.inf if options.min_score is None else options.min_score,
            threads=threads,
            prune=self._prune,
            proofs=options.proofs or options.matches,
        )

    def _answer(
        self,
        snapshot: Snapshot,
        query: Part,
        found: Grouped,
        options: Options,
        check: Check,
        *,
        recalled: int,
        matching: int,
        times: tuple[float, float],
        given: Given | None = None,
        missing: tuple[str, ...] = (),
        warnings: tuple[str, ...] = (),
    ) -> Answer:
        """times: when recall began and when it ended. given: None when the collection's images are the candidates."""
        ranked_at = time.perf_counter()
        ranking, given_sets = found.ranking, given or {}
        unexamined = recalled - ranking.stages.examined
        kernel = options.kernel_for(region=query.is_region)
        hits = fetch(
            snapshot,
            query,
            found.best,
            given_sets,
            options,
            kernel=kernel,
            sigma=self._encoder.sigma,
            check=check,
            groups=found.groups,
        )
        return Answer(
            hits=hits,
            kernel=kernel,
            scope=_scope(unexamined, proves_all=given is None and recalled == matching),
            collection_size=len(snapshot),
            matching=matching,
            recalled=recalled,
            stages=ranking.stages,
            kth_score=ranking.kth_score,
            highest_pruned_bound=ranking.highest_pruned_bound,
            largest_gap=max((hit.proof.gap for hit in hits if hit.proof is not None), default=None),
            recall_s=times[1] - times[0],
            rerank_s=ranked_at - times[1],
            fetch_s=time.perf_counter() - ranked_at,
            version=snapshot.version,
            missing=missing,
            query_tokens=query.tokens,
            warnings=(*_out_of_time(unexamined, recalled), *warnings),
            unexamined=unexamined,
        )


def _cores() -> int:
    """Cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _part(features: FeatureSet, region: Region | None, field: str = "region") -> Part:
    if region is None:
        return Part(features, features)
    try:
        return region.of(features)
    except InvalidInput as error:
        error.field = f"{field}.{error.field}" if error.field else field
        raise


def _in_order(snapshot: Snapshot, ranking: Ranking, given: Given, options: Options) -> list[Named]:
    """The finalists of sufficient score with their ids: by score, then by the UTF-8 bytes of the id."""
    wanted = [one for one in ranking.finalists if options.min_score is None or one.score >= options.min_score]
    stored = [one.key for one in wanted if one.key not in given]
    ids = dict(zip(stored, snapshot.ids(stored), strict=True)) | {key: id for key, (id, _) in given.items()}
    named = [(ids[one.key], one) for one in wanted]
    return sorted(named, key=lambda pair: (-pair[1].score, pair[0].encode()))


def _scope(unexamined: int, *, proves_all: bool) -> Scope:
    if unexamined:
        return Scope.PARTIAL
    return Scope.COLLECTION if proves_all else Scope.CANDIDATES


def _out_of_time(unexamined: int, recalled: int) -> tuple[str, ...]:
    if not unexamined:
        return ()
    return (
        f"the time ran out before {unexamined} of {recalled} candidates were examined; the hits are the best of the "
        "others: allow more time, or ask with fewer candidates",
    )


def _warnings(query: Part, options: Options, matching: int, recalled: int, hits: int) -> tuple[str, ...]:
    if recalled == matching:
        return ()
    warnings = []
    if query.is_region:
        warnings.append(
            f"the candidates for the region were recalled by coarse vectors of {matching} whole images, which may "
            "have missed some; ask with exhaustive to score every image"
        )
    if options.group_by is not None and hits < options.k:
        warnings.append(
            f"the {recalled} candidates filled {hits} of {options.k} places with the groups that they are of; ask "
            "with more candidates, or with exhaustive"
        )
    return tuple(warnings)


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
