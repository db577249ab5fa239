"""The study: exact answers first, then what every setting recalls of them."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import numpy as np

from setwise_engine.collection import Collection
from setwise_engine.errors import InvalidInput
from setwise_engine.feature_set import FeatureSet
from setwise_engine.filters import Filter
from setwise_engine.matching import Kernel
from setwise_engine.search import comparable
from setwise_evaluation._threads import cores
from setwise_evaluation.experiments.recall._advice import advise
from setwise_evaluation.experiments.recall._answers import answer_all
from setwise_evaluation.experiments.recall._case import settle
from setwise_evaluation.experiments.recall._indexes import factories_for
from setwise_evaluation.experiments.recall._queries import own_queries
from setwise_evaluation.experiments.recall._settings import Asker
from setwise_evaluation.experiments.recall._types import Draws, Progress, Query, RecallStudy
from setwise_evaluation.experiments.recall._vectors import coarse_kinds

__all__ = ["recall_study"]


def _quiet(stage: str, done: int, total: int) -> None:
    """Nobody watches."""


def recall_study(
    collection: Collection,
    queries: Sequence[Query | FeatureSet] | None = None,
    *,
    k: int = 10,
    recall: float = 0.99,
    sample: int = 100,
    kernel: Kernel = Kernel.COSINE,
    counts: Sequence[int] | None = None,
    kinds: Sequence[str] | None = None,
    factories: Sequence[str] | None = None,
    where: Filter | None = None,
    seed: int = 1,
    resamples: int = 10_000,
    threads: int | None = None,
    progress: Progress = _quiet,
) -> RecallStudy:
    """How much of the exact top k the coarse stage recalls, for every coarse vector, index and number of candidates.

    The recall of a query at K is the share of its exact top k, by an exhaustive search of all images, that is among the
    K images that the coarse stage puts first; any image that scores as the k-th counts. It is what a search with K
    candidates finds of its right answer, since what is recalled is ranked exactly. Means over queries come with 95 %
    percentile bootstrap intervals over queries (Efron & Tibshirani 1993, ch. 13), all over the same resampled queries.

    queries: sets from elsewhere, raw or encoded, or `Query`; None draws `sample` images of the collection, each left
    out of its own answers. k: hits of an answer; cut to what there is. recall: the wanted share, for the advice.
    counts: numbers of candidates K; None for 10 to 1000, as far as there are more images. kinds: coarse vectors, of
    `setwise_engine.coarse.KINDS`; None for all; the collection's own always comes first. factories: index types beside
    the exact coarse order, as `setwise index --index-factory` takes them; None for those that suit the size. where:
    only images that pass are searched; then the settings are the collection as it is and the exact coarse orders.
    seed, resamples: of the sample and the bootstrap. threads: None for all cores; coarse stages are timed on one.

    All is read from one version of the collection. Memory does not grow with its tokens; coarse vectors of one kind at
    a time lie in a temporary file, and the index that is studied lies in memory.
    Raises InvalidInput for options that make no sense and where nothing can be found, Incompatible for sets that were
    not made for the collection, NotFound for a query's own image that is not there.
    """
    started = perf_counter()
    _check(k, recall, counts)
    draws = Draws(seed, resamples)
    pools, left_out = coarse_kinds(collection, None if kinds is None else tuple(kinds))
    with collection.snapshot() as snapshot:
        if queries is None:
            keys = snapshot.live_keys() if where is None else snapshot.matching(where)
            asked = own_queries(snapshot, keys.tolist(), sample, seed)
        else:
            asked = _named(queries, collection)
        case, notes = settle(
            collection, snapshot, asked, where=where, k=k, counts=counts, kernel=kernel, threads=threads or cores()
        )
        answers = answer_all(case, draws, progress)
        asker = Asker(case, answers.tops, draws, progress)
        chosen = factories_for(len(case.keys)) if factories is None else factories
        curves, pool_ms = [asker.present()], {}
        for pool in pools:
            more, pool_ms[pool.kind] = asker.of_kind(pool, chosen if where is None else ())
            curves += more
    own, images = collection.settings.coarse, len(case.keys)
    return RecallStudy(
        collection=collection.name,
        version=snapshot.version,
        images=images,
        coarse=own,
        kernel=kernel,
        k=case.k,
        counts=case.counts,
        queries=tuple(query.name for query in case.queries),
        tied=sum(len(top.keys) > case.k for top in answers.tops),
        exact_scores=np.stack([top.best for top in answers.tops]),
        curves=tuple(curves),
        default=answers.default,
        advice=advise(curves, case.counts, recall, path=collection.path, own=own, k=case.k, images=images),
        notes=tuple(notes + left_out),
        exact_ms=answers.exact_ms,
        pool_ms=pool_ms,
        seconds=perf_counter() - started,
    )


def _check(k: int, recall: float, counts: Sequence[int] | None) -> None:
    if k < 1:
        raise InvalidInput(f"k is {k}; ask for at least 1 hit", field="k")
    if not 0 < recall <= 1:
        raise InvalidInput(f"recall is {recall:g}; ask for a share above 0 and up to 1", field="recall")
    for count in counts or ():
        if count < 1:
            raise InvalidInput(f"counts holds {count}; recall at least 1 candidate", field="counts")


def _named(queries: Sequence[Query | FeatureSet], collection: Collection) -> list[Query]:
    if not queries:
        raise InvalidInput("there are no queries; give at least one, or None to draw some", field="queries")
    return [
        query if isinstance(query, Query) else Query(str(place), comparable(query, collection.encoder))
        for place, query in enumerate(queries)
    ]
