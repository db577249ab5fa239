"""Group commit: who shares one, how long it waits, and what each caller is told."""

from __future__ import annotations

import logging
import threading
import time
from itertools import groupby
from pathlib import Path

import pytest

from setwise_engine.collection import Collection, ImageRecord, Outcome, Put, Remove, WriterLock
from setwise_engine.errors import CancelledError, CollectionError, InvalidInput, NotFound
from setwise_server import ServerSettings
from setwise_server.ingest import Committer


@pytest.fixture
def collection(sets_path, tmp_path: Path):
    with Collection.open(sets_path, read_only=True) as sets:
        new = Collection.create(tmp_path / "own.setwise", sets.settings, sets.encoder)
    with new:
        yield new


@pytest.fixture
def committer_of(collection):
    """`committer_of(commit_ms=…, commit_bytes=…)`: a committer of the collection."""
    made = []

    def make(**settings: int) -> Committer:
        made.append(Committer(collection, ServerSettings(**settings)))
        return made[-1]

    yield make
    for committer in made:
        committer.close()


@pytest.fixture
def put(collection, make_set):
    """A change that stores a ready-made set."""
    return lambda id, seed=0: Put(ImageRecord(id, collection.encoder.encode_set(make_set(seed))))


def version(collection: Collection) -> int:
    with collection.snapshot() as snapshot:
        return snapshot.version


def test_what_comes_within_the_window_is_one_commit(committer_of, collection, put) -> None:
    committer = committer_of(commit_ms=150)
    before = version(collection)
    started = time.monotonic()
    futures = [committer.submit([put(str(number), number)]) for number in range(10)]
    written = [future.result(5) for future in futures]
    assert time.monotonic() - started >= 0.15
    assert {each.version for each in written} == {before + 1}
    assert [each.results for each in written] == [(Outcome.INSERTED,)] * 10


def test_what_somebody_waits_for_takes_along_what_is_there_at_once(committer_of, put) -> None:
    committer = committer_of(commit_ms=60_000)
    patient = committer.submit([put("a")])
    assert not patient.done()
    urgent = committer.submit([put("b")], urgent=True)
    assert urgent.result(5).version == patient.result(5).version


def test_hurry_commits_what_waits(committer_of, put) -> None:
    committer = committer_of(commit_ms=60_000)
    future = committer.submit([put("a")])
    committer.hurry()
    assert future.result(5).results == (Outcome.INSERTED,)


def test_enough_bytes_are_committed_without_waiting(committer_of, put) -> None:
    committer = committer_of(commit_ms=60_000, commit_bytes=5000)
    futures = [committer.submit([put(str(number), number)]) for number in range(5)]
    assert len({future.result(5).version for future in futures[:4]}) >= 1
    committer.hurry()
    assert len({future.result(5).version for future in futures}) >= 2


def test_a_commit_has_at_most_so_many_images_however_small(committer_of, collection, put, monkeypatch) -> None:
    monkeypatch.setattr("setwise_server.ingest._committer.MOST_CHANGES", 10)
    committer = committer_of(commit_ms=60_000)
    with WriterLock(collection.path).hold():  # the first ten are on their way, the rest come meanwhile
        futures = [committer.submit([put(str(number), number)]) for number in range(40)]
    assert {len(list(same)) for _, same in groupby(future.result(5).version for future in futures)} == {10}


def test_each_caller_gets_its_own_results_and_errors(committer_of, put) -> None:
    committer = committer_of(commit_ms=60_000)
    first = committer.submit([put("a", 1), put("", 2)])
    second = committer.submit([Remove("a"), Remove("nope")], urgent=True)
    inserted, refused = first.result(5).results
    assert inserted is Outcome.INSERTED
    assert isinstance(refused, InvalidInput)
    assert second.result(5).results == (Outcome.REMOVED, Outcome.MISSING)


def test_a_caller_who_has_gone_before_the_commit_is_left_out_of_it(committer_of, collection, put) -> None:
    def gone() -> None:
        raise CancelledError("the caller cancelled the call")

    committer = committer_of(commit_ms=60_000)
    lost, kept = committer.submit([put("a", 1)], check=gone), committer.submit([put("b", 2)], urgent=True)
    assert kept.result(5).results == (Outcome.INSERTED,)
    with pytest.raises(CancelledError):
        lost.result(5)
    with collection.snapshot() as snapshot:
        assert snapshot.keys(["a"]) == [None]


def test_a_commit_that_fails_fails_for_all_who_shared_it_and_the_next_goes_on(
    committer_of, collection, put, monkeypatch
) -> None:
    committer = committer_of(commit_ms=60_000)
    write = Collection.write

    def full(*_):
        raise CollectionError("the disk is full")

    monkeypatch.setattr(Collection, "write", full)
    futures = [committer.submit([put("a")]), committer.submit([put("b")], urgent=True)]
    for future in futures:
        with pytest.raises(CollectionError, match="full"):
            future.result(5)
    monkeypatch.setattr(Collection, "write", write)
    assert committer.submit([put("c")], urgent=True).result(5).results == (Outcome.INSERTED,)


def test_a_job_has_its_turn_among_the_others(committer_of, put) -> None:
    committer = committer_of(commit_ms=60_000)
    before = committer.submit([put("a", 1)])
    job = committer.run(version)
    after = committer.submit([put("b", 2)], urgent=True)
    assert before.result(5).version == job.result(5) == after.result(5).version - 1


def test_closing_commits_what_waits_and_takes_no_more(committer_of, put) -> None:
    committer = committer_of(commit_ms=60_000)
    future = committer.submit([put("a")])
    committer.close()
    assert future.done()
    with pytest.raises(NotFound, match="no longer served"):
        committer.submit([put("b")])


def test_changes_of_one_caller_keep_their_order_beside_many_others(committer_of, collection, put) -> None:
    committer = committer_of(commit_ms=5)

    def write(name: str) -> None:
        futures = [committer.submit([put(name, seed)]) for seed in range(20)]
        for future in futures:
            future.result(10)

    threads = [threading.Thread(target=write, args=(f"t{number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with collection.snapshot() as snapshot:
        last = put("x", 19).record.features
        for number in range(5):
            (key,) = snapshot.keys([f"t{number}"])
            assert (snapshot.tokens(key) == last.tokens).all()


def test_where_no_thread_can_be_started_a_later_write_is_not_forgotten(committer_of, put, monkeypatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    committer = committer_of(commit_ms=0)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            committer.submit([put("a")])
    assert committer.submit([put("b")]).result(5).results == (Outcome.INSERTED,)


def test_a_disk_that_is_full_is_told_to_the_log_once_and_not_for_each_write(
    committer_of, put, monkeypatch, caplog
) -> None:
    def full(*_):
        raise CollectionError("the disk is full")

    monkeypatch.setattr(Collection, "write", full)
    committer = committer_of(commit_ms=0)
    with caplog.at_level(logging.ERROR, "setwise.server"):
        for seed in range(5):
            assert isinstance(committer.submit([put("a", seed)]).exception(5), CollectionError)
        committer.close()
    assert [record.getMessage() for record in caplog.records] == [
        'a commit to collection "own" failed, nothing of it was stored: the disk is full'
    ]
