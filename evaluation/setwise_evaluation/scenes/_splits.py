"""Which cut-outs and backgrounds a scene of each split may use. The parts are fixed and do not depend on seeds."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from setwise_engine.errors import InvalidInput
from setwise_evaluation.scenes._assets import Cutout, picture_name

__all__ = ["Pool", "Split", "pool"]


class Split(StrEnum):
    """What scenes are for.

    fit: to fit an encoder on; shares no cut-out and no background with the others.
    instance-database, instance-query: the same cut-outs on other backgrounds.
    category-database, category-query: no cut-out and no background in common, the same categories.
    counting-database, counting-query: two kinds of cut-outs a scene, the same kinds in three proportions, on other
    backgrounds.
    """

    FIT = "fit"
    INSTANCE_DATABASE = "instance-database"
    INSTANCE_QUERY = "instance-query"
    CATEGORY_DATABASE = "category-database"
    CATEGORY_QUERY = "category-query"
    COUNTING_DATABASE = "counting-database"
    COUNTING_QUERY = "counting-query"

    @property
    def counting(self) -> bool:
        """Whether its scenes hold the same kinds in different numbers."""
        return self in {Split.COUNTING_DATABASE, Split.COUNTING_QUERY}


@dataclass(frozen=True, slots=True)
class Pool:
    """What one split may use: cut-outs by category (names ordered), and backgrounds."""

    cutouts: Mapping[str, Sequence[Cutout]]
    backgrounds: Sequence[Path]


def pool(split: Split, cutouts: Sequence[Cutout], backgrounds: Sequence[Path]) -> Pool:
    """The part of the cut-outs and backgrounds that belongs to `split`.

    Raises InvalidInput when there are too few to keep the splits apart.
    """
    fit, query, database, single = _deal(cutouts)
    shared = query + database + single
    behind_fit, behind_query, behind_database = _deal_backgrounds(backgrounds)
    parts = {
        Split.FIT: (fit, behind_fit),
        Split.INSTANCE_DATABASE: (shared, behind_database),
        Split.INSTANCE_QUERY: (shared, behind_query),
        Split.CATEGORY_DATABASE: (database, behind_database),
        Split.CATEGORY_QUERY: (query, behind_query),
        Split.COUNTING_DATABASE: (shared, behind_database),
        Split.COUNTING_QUERY: (shared, behind_query),
    }
    chosen, behind = parts[split]
    if not chosen:
        raise InvalidInput(
            f"{len(cutouts)} cut-outs are too few for the split {split}: a category needs 2 of them for the category "
            "protocol and 4 to spare one for fitting; give a larger folder with --cutouts"
        )
    return Pool(_by_category(chosen), behind)


def _deal(cutouts: Sequence[Cutout]) -> tuple[list[Cutout], list[Cutout], list[Cutout], list[Cutout]]:
    """Cut-outs for fitting (a quarter of each category), queries, the database, and those alone in their category."""
    fit: list[Cutout] = []
    query: list[Cutout] = []
    database: list[Cutout] = []
    single: list[Cutout] = []
    for members in _by_category(cutouts).values():
        order = sorted(members, key=lambda cutout: _shuffle_key(cutout.instance))
        spare = len(order) // 4
        rest = order[spare:]
        fit += order[:spare]
        if len(rest) == 1:
            single += rest
        else:
            query += rest[::2]
            database += rest[1::2]
    return fit, query, database, single


def _deal_backgrounds(backgrounds: Sequence[Path]) -> tuple[list[Path], list[Path], list[Path]]:
    """Backgrounds for fitting (a fifth), queries and the database."""
    if len(backgrounds) < 3:
        raise InvalidInput(
            f"{len(backgrounds)} backgrounds are too few: fitting, queries and the database each need one of their "
            "own; give more with --backgrounds",
            field="--backgrounds",
        )
    order = sorted(backgrounds, key=lambda path: _shuffle_key(picture_name(path)))
    spare = max(1, len(order) // 5)
    return order[:spare], order[spare::2], order[spare + 1 :: 2]


def _by_category(cutouts: Sequence[Cutout]) -> dict[str, list[Cutout]]:
    groups: dict[str, list[Cutout]] = defaultdict(list)
    for cutout in sorted(cutouts):
        groups[cutout.category].append(cutout)
    return dict(sorted(groups.items()))


def _shuffle_key(name: str) -> bytes:
    """An order that has nothing to do with the alphabet and is the same everywhere."""
    return hashlib.blake2b(name.encode(), digest_size=8).digest()
