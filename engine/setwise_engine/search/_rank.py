"""Feeding candidates to the Ranker: checked, read ahead, and, when everything is a candidate, in chunks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
from numpy.typing import NDArray

from setwise_engine.collection import Snapshot
from setwise_engine.errors import CorruptError, FeatureError
from setwise_engine.matching import Ranker, Ranking
from setwise_engine.search._answer import Check

__all__ = ["Keys", "rank_stored", "until", "with_the_rest"]

Keys = NDArray[np.int64]

_CHUNK = 4096
"""Rows of a chunk: about 100 MB of int8 gates at 100 tokens of 256 numbers, enough for the disk to be ahead."""


class _TimeIsUpError(Exception):
    """Ends a ranking that keeps what it has."""


@contextmanager
def until(answer_by: float | None, check: Check) -> Iterator[Check]:
    """A check that also ends what runs inside, without an error, once `time.perf_counter()` has come to `answer_by`."""

    def check_both() -> None:
        check()
        if answer_by is not None and time.perf_counter() >= answer_by:
            raise _TimeIsUpError

    with suppress(_TimeIsUpError):
        yield check if answer_by is None else check_both


def rank_stored(
    ranker: Ranker, snapshot: Snapshot, chunks: Iterator[Keys], check: Check, answer_by: float | None = None
) -> Ranking:
    """The ranking of these images, all of whose bytes that took part were checked.

    answer_by: when to leave the rest unexamined, as `time.perf_counter()` counts; None for never.
    Raises CorruptError naming the image whose bytes are not those that were written.
    """
    with until(answer_by, check) as check_both:
        _feed(ranker, snapshot, chunks, check_both)
    ranking = ranker.result()
    snapshot.check_rows(ranking.read[ranking.read >= 0], gate=False)
    return ranking


def _feed(ranker: Ranker, snapshot: Snapshot, chunks: Iterator[Keys], check: Check) -> None:
    blocks = snapshot.blocks()
    for keys in _read_ahead(snapshot, chunks):
        check()
        snapshot.check_rows(keys, gate=True)
        try:
            ranker.add(blocks, keys, check)
        except FeatureError as error:
            # Stored tokens are finite: what was read here is not what was written.
            snapshot.check_rows(keys, gate=False)
            raise CorruptError("stored tokens hold NaN or infinity; run `setwise verify` on the collection") from error


def with_the_rest(first: Keys, keys: Keys) -> Iterator[Keys]:
    """All the keys, which rise, in chunks: those that are to come first, then the others as they lie on disk."""
    yield first
    others = np.ones(len(keys), np.bool_)
    others[np.searchsorted(keys, first)] = False
    rest = keys[others]
    for start in range(0, len(rest), _CHUNK):
        yield rest[start : start + _CHUNK]


def _read_ahead(snapshot: Snapshot, chunks: Iterator[Keys]) -> Iterator[Keys]:
    """The chunks, each of which the kernel was asked to read while the one before it was at work."""
    waiting: Keys | None = None
    for keys in chunks:
        snapshot.prefetch(keys, gate=True)
        if waiting is not None:
            yield waiting
        waiting = keys
    if waiting is not None:
        yield waiting
