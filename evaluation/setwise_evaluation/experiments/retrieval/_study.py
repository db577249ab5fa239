"""From scores and labels to what every ranking is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from setwise_engine.errors import InvalidInput
from setwise_evaluation.experiments.retrieval._types import APART, Floats, Reading, Retrieval
from setwise_evaluation.retrieval import Estimate, bootstrap_rows, measured, overlaps, ranked

__all__ = ["retrieval"]

Labels = AbstractSet[str] | Mapping[str, int]


def retrieval(
    scores: Mapping[Reading, Floats],
    query_labels: Sequence[Labels],
    database_labels: Sequence[Labels],
    *,
    query_ids: Sequence[str] | None = None,
    database_ids: Sequence[str] | None = None,
    ks: Sequence[int] = (1, 5, 10, 20, 50),
    leave_one_out: bool = False,
    seed: int = 1,
    resamples: int = 10_000,
) -> Retrieval:
    """Every measure of every ranking, with intervals.

    scores: (Q, N) by similarity and kernel (`readings`). labels: of each image, a set, or a mapping from label to
    number: then F1 is `count_f1`, and `told apart` is measured. ids: equal scores go by them; the numbers of the images
    when there are none. leave_one_out: a query does not find the image of the database that has its id.
    seed, resamples: of the bootstrap over queries (Efron & Tibshirani 1993).
    Raises InvalidInput when numbers of labels, ids and scores do not agree, or there are no queries.
    """
    names = tuple(query_ids or _numbers(len(query_labels))), tuple(database_ids or _numbers(len(database_labels)))
    _check(scores, [len(query_labels), len(names[0])], [len(database_labels), len(names[1])])
    own = np.array([[leave_one_out and query == image for image in names[1]] for query in names[0]], dtype=np.bool_)
    overlap = np.where(own, 0.0, overlaps(query_labels, database_labels))
    kin = _kin(query_labels, database_labels) & ~own if isinstance(query_labels[0], Mapping) else None
    per_query, first = {}, {}
    for reading, table in scores.items():
        order = ranked(np.where(own, -np.inf, table), names[1])
        first[reading] = tuple(names[1][column] for column in order[:, 0])
        per_query[reading] = measured(overlap, order, ks)
        if kin is not None:
            per_query[reading][APART] = _apart(overlap, kin, ranked(np.where(kin, table, -np.inf), names[1]))
    return Retrieval(
        query_ids=names[0],
        images=len(names[1]),
        ks=tuple(ks),
        per_query=per_query,
        first=first,
        estimates=_estimates(per_query, seed, resamples),
        ahead=_estimates(_differences(per_query), seed, resamples),
        chance=_chance(overlap, ~own, kin, ks),
    )


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(f"{number:09}" for number in range(count))


def _check(scores: Mapping[Reading, Floats], queries: Sequence[int], images: Sequence[int]) -> None:
    for reading, table in scores.items():
        if {*queries} != {table.shape[0]} or {*images} != {table.shape[1]}:
            raise InvalidInput(
                f"{', '.join(reading)} has scores {table.shape} for {queries[0]} labelled queries and {images[0]} "
                "labelled images; give labels and ids in the order of rows and columns",
                field="scores",
            )
    if queries[0] == 0 or images[0] == 0:
        raise InvalidInput("there are no queries, or no images to find; give some of both", field="queries")


def _kin(queries: Sequence[Labels], database: Sequence[Labels]) -> np.ndarray:
    """Which images hold just what a query holds, in whatever numbers: (Q, N) bool."""
    same = overlaps([frozenset(query) for query in queries], [frozenset(image) for image in database]) == 1.0
    return np.asarray(same)


def _apart(overlap: Floats, kin: np.ndarray, order: np.ndarray) -> Floats:
    """1 where the first of the query's kin has the same numbers, 0 where not; NaN where all or none of them have."""
    same = kin & (overlap == 1.0)
    asked = same.any(axis=1) & (kin & ~same).any(axis=1)
    hits = np.take_along_axis(overlap, order[:, :1], axis=1)[:, 0] == 1.0
    return np.where(asked, hits.astype(np.float64), np.nan)


def _differences(per_query: Mapping[Reading, Mapping[str, Floats]]) -> dict[Reading, dict[str, Floats]]:
    """Semantic minus every other reading of the same kernel, query by query."""
    return {
        reading: {name: per_query[best][name] - values for name, values in measures.items()}
        for reading, measures in per_query.items()
        if (best := Reading("semantic", reading.kernel)) in per_query and reading != best
    }


def _estimates(
    per_query: Mapping[Reading, Mapping[str, Floats]], seed: int, resamples: int
) -> dict[Reading, dict[str, Estimate]]:
    """Means over the queries for which a measure is defined, all readings over the same resampled queries."""
    found: dict[Reading, dict[str, Estimate]] = {reading: {} for reading in per_query}
    for name in next(iter(per_query.values()), {}):
        rows = np.stack([measures[name] for measures in per_query.values()])
        defined = rows[:, ~np.isnan(rows).any(axis=0)]
        if defined.shape[1]:
            for reading, estimate in zip(
                per_query, bootstrap_rows(defined, seed=seed, resamples=resamples), strict=True
            ):
                found[reading][name] = estimate
    return found


def _chance(overlap: Floats, allowed: np.ndarray, kin: np.ndarray | None, ks: Sequence[int]) -> dict[str, float]:
    """What a random order expects of the first hits: means over all allowed pairs."""
    pairs = allowed.sum()
    chance = {f"F1@{k}": float(overlap.sum() / pairs) for k in ks}
    chance |= {f"P@{k}": float((overlap > 0).sum() / pairs) for k in ks}
    chance["same@1"] = float((overlap == 1.0).sum() / pairs)
    if kin is not None:
        same = (kin & (overlap == 1.0)).sum(axis=1)
        asked = (same > 0) & (same < kin.sum(axis=1))
        if asked.any():
            chance[APART] = float((same[asked] / kin.sum(axis=1)[asked]).mean())
    return chance
