"""Compaction: answers stay, the disk is freed, and readers and writers go on."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from setwise_engine.collection import (
    Collection,
    ImageRecord,
    Put,
    Remove,
    SetMetadata,
    Settings,
    _compact,
    _compact_plan,
)
from setwise_engine.encoder import Encoder
from setwise_engine.errors import NotFound, ReadOnlyError
from setwise_engine.filters import Equals, Exists

Make = Callable[..., ImageRecord]
Content = Callable[[Collection], dict[str, tuple[Any, ...]]]
Files = Callable[[Collection], list[str]]


def births(collection: Collection) -> dict[str, int]:
    with collection.snapshot() as snapshot:
        ids = snapshot.ids(snapshot.view.live.tolist())
        return dict(zip(ids, snapshot.view.live_births.tolist(), strict=True))


def test_everything_stays_but_where_it_lies(scattered: Collection, content: Content, files: Files) -> None:
    before, born, version = content(scattered), births(scattered), scattered.info().version
    dead = scattered.info().dead_rows
    done = scattered.compact(everything=True)
    assert (done.segments_before, done.segments_after, done.dropped) == (22, 1, dead)
    assert done.bytes_after < done.bytes_before
    assert done.bytes_written == done.bytes_after
    assert content(scattered) == before
    assert births(scattered) == born
    assert scattered.info().version > version
    assert (scattered.info().dead_rows, scattered.info().segments, len(files(scattered))) == (0, 1, 1)
    assert scattered.verify(recompute=True).problems == []
    with scattered.snapshot() as snapshot:
        assert snapshot.count(Equals("n", 5)) == 3
        assert snapshot.count(Exists("again")) == 4
        positions = snapshot.view.positions(np.array(sorted(born.values())))
        assert snapshot.view.live_births[positions].tolist() == sorted(born.values())
    with Collection.open(scattered.path) as opened:
        assert content(opened) == before
        again = opened.compact(everything=True)
        assert (again.steps, again.bytes_written) == (0, 0)


def test_images_can_be_changed_after_they_were_moved(scattered: Collection, make: Make, content: Content) -> None:
    scattered.compact(everything=True)
    scattered.write([Put(make("5-0", 77)), SetMetadata("5-1", {"i": "new"}), Remove("5-2")])
    before = content(scattered)
    assert "5-2" not in before
    with scattered.snapshot() as snapshot:
        assert snapshot.count(Equals("i", "new")) == 1
    scattered.compact(everything=True)
    assert content(scattered) == before
    assert scattered.verify().problems == []


def test_a_reader_keeps_what_it_has(scattered: Collection, files: Files) -> None:
    with scattered.snapshot() as snapshot:
        keys = snapshot.live_keys()
        before = {key: snapshot.tokens(key).tobytes() for key in keys.tolist()[:5]}
        scattered.compact(everything=True)
        assert len(files(scattered)) == 1
        snapshot.prefetch(keys, gate=True)
        snapshot.check_rows(keys, gate=True)
        assert {key: snapshot.tokens(key).tobytes() for key in before} == before
        assert len(snapshot.recall(snapshot.coarse(keys[0]), 99)) == len(snapshot)
    with scattered.snapshot() as snapshot, pytest.raises(NotFound):
        snapshot.tokens(int(keys[0]))


def test_another_process_that_meets_a_gone_file_reads_the_newest_version(
    scattered: Collection, monkeypatch: pytest.MonkeyPatch, content: Content
) -> None:
    before = content(scattered)
    with Collection.open(scattered.path) as other:
        # As if the compaction came after the other's transaction began and before it mapped the segments.
        view_recall = Collection._view_recall

        def late(self: Collection, connection: Any) -> Any:
            monkeypatch.setattr(Collection, "_view_recall", view_recall)
            connection.execute("SELECT count(*) FROM images").fetchone()
            scattered.compact(everything=True)
            other._segments.clear()
            other._recall = None
            return view_recall(self, connection)

        monkeypatch.setattr(Collection, "_view_recall", late)
        assert content(other) == before


def test_what_changes_while_segments_are_copied_is_not_undone(
    scattered: Collection, make: Make, monkeypatch: pytest.MonkeyPatch, content: Content
) -> None:
    merge = _compact.merge_segments

    def meanwhile(*arguments: Any) -> Any:
        written = merge(*arguments)
        scattered.write([Remove("7-0"), Put(make("8-0", 123)), SetMetadata("9-0", {"n": "late"}), Put(make("new", 5))])
        return written

    monkeypatch.setattr(_compact, "merge_segments", meanwhile)
    before = content(scattered)
    done = scattered.compact(everything=True)
    after = content(scattered)
    assert after.keys() == before.keys() - {"7-0"} | {"new"}
    assert after["8-0"][5] == make("8-0", 123).features.tokens.tobytes()
    assert "late" in after["9-0"][0]
    assert {id for id in before if after.get(id) != before[id]} == {"7-0", "8-0", "9-0"}
    assert (scattered.info().dead_rows, done.segments_after) == (2, 2)
    assert scattered.verify().problems == []


def test_neighbours_merge_and_births_rise_through_the_segments(
    scattered: Collection, make: Make, monkeypatch: Any
) -> None:
    monkeypatch.setattr(_compact_plan, "MAX_ROWS", 10)
    for n in range(9):
        scattered.append([make(f"late-{n}", n)])
    scattered.compact()
    scattered.compact(everything=True)
    with scattered.snapshot() as snapshot:
        view = snapshot.view
        spans = sorted(
            (view.live_births[inside].min(), view.live_births[inside].max())
            for number in view.entries
            if (inside := view.live >> 32 == number).any()
        )
        assert len(spans) > 5
        assert max(entry.rows for entry in view.entries.values()) <= 10
        assert all(last < first for (_, last), (first, _) in itertools.pairwise(spans))


def test_segments_with_and_without_a_gate_are_not_mixed(
    tmp_path: Path, settings: Settings, tiny: Encoder, make: Make
) -> None:
    with Collection.create(tmp_path / "c.setwise", settings, tiny) as made:
        made.append([make("a", 1)])
        made.append([make("b", 2)])
        made._writer._settings = Settings(**{**_fields(settings), "gate": False})
        made.append([make("c", 3)])
        made.append([make("d", 4)])
        assert made.compact(everything=True).segments_after == 2
        with made.snapshot() as snapshot:
            gates = [segment.block.gate is not None for segment in snapshot.view.segments.values()]
        assert sorted(gates) == [False, True]
        assert made.verify(recompute=True).problems == []


def _fields(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


def test_deleting_everything_leaves_no_segment(scattered: Collection, files: Files) -> None:
    scattered.delete(list(scattered.sources()))
    assert scattered.compaction_due()
    done = scattered.compact()
    assert (done.segments_after, done.bytes_written, files(scattered)) == (0, 0, [])
    assert not scattered.compaction_due()
    assert scattered.verify().problems == []


def test_an_empty_collection_and_a_read_only_one(collection: Collection, make: Make) -> None:
    assert not collection.compaction_due()
    assert collection.compact(everything=True).steps == 0
    with Collection.open(collection.path, read_only=True) as opened, pytest.raises(ReadOnlyError):
        opened.compact()


def test_due_is_what_compact_does(scattered: Collection, content: Content) -> None:
    assert scattered.compaction_due()
    before = content(scattered)
    assert scattered.compact().steps >= 1
    assert not scattered.compaction_due()
    assert scattered.compact().steps == 0
    assert content(scattered) == before


def test_its_rate_is_bounded(scattered: Collection, files: Files) -> None:
    done = scattered.compact(everything=True, bytes_per_second=200_000)
    moved = done.bytes_before + done.bytes_written  # whole files are read, also what was deleted of them
    assert done.seconds > 0.9 * moved / 200_000
    assert len(files(scattered)) == 1


def test_nothing_is_remembered_of_what_is_gone(scattered: Collection, make: Make) -> None:
    for round in range(5):
        for n in range(10):
            scattered.append([make(f"x{n}", round)])
        scattered.compact(everything=True)
        with scattered.snapshot() as snapshot:
            snapshot.check_rows(snapshot.live_keys(), gate=False)
    assert len(scattered._segments._mapped) == 1
    assert scattered._segments._rows._table.rows <= 3 * len(scattered.sources())


def test_an_index_from_before_serves_after(scattered: Collection) -> None:
    scattered.build_index()
    with scattered.snapshot() as snapshot:
        vector = snapshot.coarse(int(snapshot.live_keys()[3]))
        before = [(snapshot.ids([hit.key])[0], hit.coarse) for hit in snapshot.recall(vector, 10)]
    scattered.compact(everything=True)
    assert scattered.info().indexed == len(scattered.sources())
    with scattered.snapshot() as snapshot:
        assert [(snapshot.ids([hit.key])[0], hit.coarse) for hit in snapshot.recall(vector, 10)] == before


def test_reads_writes_and_compaction_at_once(scattered: Collection, make: Make) -> None:
    stop, failures = threading.Event(), []

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                while not stop.is_set():
                    work()
            except BaseException as error:
                failures.append(error)

        return run

    def read() -> None:
        with scattered.snapshot() as snapshot:
            keys = snapshot.live_keys()
            snapshot.check_rows(keys, gate=False)
            for id, key in zip(snapshot.ids(keys[:9].tolist()), keys[:9].tolist(), strict=True):
                assert snapshot.stored([key])[0].id == id

    threads = [
        threading.Thread(target=guarded(work))
        for work in (read, read, lambda: scattered.compact(everything=True) and None)
    ]
    for thread in threads:
        thread.start()
    for n in range(60):
        scattered.write([Put(make(f"{n % 7}", n, 1, 2)), Remove(f"{n % 5}-0"), SetMetadata("19-1", {"n": n})])
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert scattered.sources()["19-1"].metadata["n"] == 59
    assert scattered.verify().problems == []
