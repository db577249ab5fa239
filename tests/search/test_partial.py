"""Partial answers: the time runs out in the middle, and the answer is exact for what was examined, and says so."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from setwise_engine.collection import Snapshot
from setwise_engine.errors import CancelledError
from setwise_engine.feature_set import FeatureSet
from setwise_engine.search import Answer, Options, Scope, Searcher, _rank, _searcher

from .conftest import DIMS, scatter

MakeSearcher = Callable[[dict[str, np.ndarray]], Searcher]
EXPIRED = -math.inf


class Clock:
    """Moves on by 1 each time that it is read."""

    now = -1

    def perf_counter(self) -> int:
        self.now += 1
        return self.now


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock by which `answer_by` counts checks; the recalled and chunks of the others are seven each."""
    clock = Clock()
    monkeypatch.setattr(_rank, "time", clock)
    monkeypatch.setattr(_rank, "_CHUNK", 7)
    monkeypatch.setattr(_searcher, "default_candidates", lambda k: 7)
    return clock


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The keys of candidates in the order in which they came to the ranker."""
    keys: list[int] = []
    original = Snapshot.check_rows

    def check_rows(self: Snapshot, rows: np.ndarray, *, gate: bool) -> None:
        if gate:
            keys.extend(np.asarray(rows).tolist())
        original(self, rows, gate=gate)

    monkeypatch.setattr(Snapshot, "check_rows", check_rows)
    return keys


def ranked(answer: Answer) -> list[tuple[str, float]]:
    return [(hit.id, hit.score) for hit in answer.hits]


@pytest.mark.parametrize("expires", range(1, 13, 2))
def test_the_hits_are_the_best_of_what_was_examined(
    make_searcher: MakeSearcher, ticking: Clock, offered: list[int], expires: int
) -> None:
    searcher = make_searcher(scatter(3, 60))
    searcher._scan_threads = 1
    searcher._prune = expires % 3 != 0
    query = searcher.features("010")
    answer = searcher.search(query, Options(k=4, exhaustive=True, answer_by=expires))
    examined = answer.recalled - answer.unexamined
    assert (answer.scope, answer.recalled, answer.stages.examined) == (Scope.PARTIAL, 60, examined)
    assert answer.pruned + answer.solved == examined
    assert answer.unexamined > 0
    with searcher._collection.snapshot() as snapshot:
        ids = snapshot.ids(offered[:examined])
    everything = ranked(searcher.search(query, Options(k=60, exhaustive=True)))
    assert ranked(answer) == [(id, score) for id, score in everything if id in ids][:4]
    assert "the time ran out" in answer.warnings[0]


def test_an_answer_in_time_is_whole(make_searcher: MakeSearcher, scattered: dict[str, np.ndarray]) -> None:
    searcher = make_searcher(scattered)
    whole = searcher.search_id("003", Options(k=5))
    for options in (Options(k=5, answer_by=math.inf), Options(k=5, answer_by=math.inf, exhaustive=True)):
        answer = searcher.search_id("003", options)
        assert (ranked(answer), answer.scope, answer.unexamined) == (ranked(whole), Scope.COLLECTION, 0)
        assert answer.warnings == ()


def test_when_there_is_no_time_at_all_nothing_was_examined(
    make_searcher: MakeSearcher, scattered: dict[str, np.ndarray]
) -> None:
    answer = make_searcher(scattered).search_id("003", Options(k=5, answer_by=EXPIRED, proofs=True))
    assert (answer.hits, answer.scope, answer.unexamined) == ((), Scope.PARTIAL, 40)
    assert (answer.kth_score, answer.highest_pruned_bound, answer.largest_gap) == (None, None, None)


def test_a_rerank_may_be_partial_too(
    make_searcher: MakeSearcher, scattered: dict[str, np.ndarray], ticking: Clock
) -> None:
    searcher = make_searcher(scattered)
    query = searcher.features("001")
    sets = [("mine", searcher.features("001"))]
    whole = searcher.rerank(query, ["004", "005"], sets, Options(k=3))
    assert (whole.scope, whole.unexamined) == (Scope.CANDIDATES, 0)
    found = {3: [], 2: ["mine"], 0: ["mine", "004", "005"]}  # the caller's own sets come first
    seen = set()
    for answer_by in range(12):
        ticking.now = -1
        answer = searcher.rerank(query, ["004", "005"], sets, Options(k=3, answer_by=answer_by))
        assert (answer.scope is Scope.PARTIAL, answer.recalled) == (answer.unexamined > 0, 3)
        if answer.unexamined in found:
            assert sorted(hit.id for hit in answer.hits) == sorted(found[answer.unexamined])
            seen.add(answer.unexamined)
    assert seen == set(found)


def test_groups_are_filled_as_far_as_the_time_allows(make_searcher: MakeSearcher, ticking: Clock) -> None:
    searcher = make_searcher(scatter(5, 60))
    query = searcher.features("010")
    options = Options(k=5, exhaustive=True, group_by="tokens", answer_by=3)
    answer = searcher.search(query, options)
    assert answer.scope is Scope.PARTIAL
    assert len({hit.group for hit in answer.hits}) == len(answer.hits)


def test_a_caller_who_has_gone_gets_no_partial_answer(make_searcher: MakeSearcher) -> None:
    def gone() -> None:
        raise CancelledError("the caller cancelled the call")

    searcher = make_searcher(scatter(0, 10))
    with pytest.raises(CancelledError):
        searcher.search(FeatureSet(np.ones((3, DIMS), np.float16)), Options(answer_by=EXPIRED), gone)
