"""The best of each group: a ranking walked from the top, as far down as it takes to fill the places."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from setwise_engine.collection import MetadataValue, Snapshot
from setwise_engine.filters import flatten
from setwise_engine.matching import Ranked, Ranking
from setwise_engine.search._options import Options

__all__ = ["Grouped", "Named", "best_of_groups"]

Named = tuple[str, Ranked]
"""An id and how it ranked."""

_DEEPER = 4  # times as many places in each further ranking: all of them together cost a third more than the last


@dataclass(frozen=True, slots=True)
class Grouped:
    """The ranking that filled the places, the hits, best first, and the values that they were grouped by, by key."""

    ranking: Ranking
    best: list[Named]
    groups: dict[int, MetadataValue]


def best_of_groups(
    snapshot: Snapshot,
    rank: Callable[[int], Ranking],
    in_order: Callable[[Ranking], list[Named]],
    options: Options,
    candidates: int,
) -> Grouped:
    """The first options.k of the exact order of which no group has more than options.group_size.

    rank: ranks the candidates for a number of places. in_order: finalists of sufficient score, best first. Ranks anew
    with more places until enough groups are met or the candidates run out.
    """
    values: dict[int, MetadataValue] = {}
    names: dict[int, object] = {}
    places = _DEEPER * options.k
    while True:
        ranking = rank(min(places, candidates))
        named = in_order(ranking)
        _look_up(snapshot, [one.key for _, one in named if one.key not in names], options.group_by or "", values, names)
        best = _walk(named, names, options)
        # Fewer than asked for: the rest scores below min_score, there is no rest, or there is no time for it.
        out_of_time = ranking.stages.examined < candidates
        if len(best) == options.k or places >= candidates or len(named) < places or out_of_time:
            return Grouped(ranking, best, {one.key: values[one.key] for _, one in best})
        places *= _DEEPER


def _walk(named: Sequence[Named], names: dict[int, object], options: Options) -> list[Named]:
    full: Counter[object] = Counter()
    best: list[Named] = []
    for id, one in named:
        if full[names[one.key]] < options.group_size:
            full[names[one.key]] += 1
            best.append((id, one))
        if len(best) == options.k:
            break
    return best


def _look_up(
    snapshot: Snapshot, keys: list[int], field: str, values: dict[int, MetadataValue], names: dict[int, object]
) -> None:
    """Notes the images' values, and what names their groups: numbers by value, so that 1 is 1.0 but not true."""
    for key, image in zip(keys, snapshot.stored(keys, metadata=(field,)), strict=True):
        values[key] = value = image.metadata.get(field)
        if field not in image.metadata:
            names[key] = None
        elif isinstance(value, list):
            names[key] = json.dumps(value)
        else:
            ((_, kind, stored),) = flatten({field: value})
            names[key] = kind, stored
