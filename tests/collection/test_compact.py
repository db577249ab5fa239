"""Compaction: answers stay, the disk is freed, readers keep what they have, and damage or a crash loses nothing."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
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
from setwise_engine.collection._durable import Disk
from setwise_engine.encoder import Encoder
from setwise_engine.errors import CancelledError, CollectionError, LockedError, NotFound, ReadOnlyError
from setwise_engine.feature_set import FeatureSet, Stage
from setwise_engine.filters import Equals, Exists

Make = Callable[..., ImageRecord]


@pytest.fixture
def filled(collection: Collection, make: Make) -> Collection:
    """Twenty segments of three images; some replaced or deleted, one without tokens; with metadata and thumbnails."""
    for n in range(20):
        collection.append(
            [
                make(
                    f"{n}-{i}", 10 * n + i, 1, 1 + i, metadata={"n": n, "i": i}, thumbnail=b"j" * i, content_hash=f"{n}"
                )
                for i in range(3)
            ]
        )
    collection.append(
        [ImageRecord("empty", FeatureSet(np.zeros((0, 8), np.float16), Stage.ENCODED, "", _encoder(collection)))]
    )
    collection.append([make(f"{n}-0", 999 + n, metadata={"again": n}) for n in range(0, 20, 6)])
    collection.delete([f"{n}-1" for n in range(0, 20, 3)] + ["3-0", "3-2"])
    return collection


def _encoder(collection: Collection) -> str:
    return collection.encoder.fingerprint


def content(collection: Collection) -> dict[str, tuple[Any, ...]]:
    """Everything that is stored of every image, but where it lies."""
    with collection.snapshot() as snapshot:
        keys = snapshot.page("", 1000)
        known = collection.sources()
        return {
            image.id: (
                *(repr(image.metadata), image.grid, image.image_size, image.tokens, image.thumbnail),
                *(snapshot.tokens(key).tobytes(), snapshot.coarse(key).tobytes(), snapshot.square(key)),
                known[image.id].content_hash,
            )
            for key, image in zip(keys, snapshot.stored(keys, thumbnails=True), strict=True)
        }


def names(collection: Collection) -> list[str]:
    return sorted(path.name for path in (collection.path / "segments").iterdir())


def births(collection: Collection) -> dict[str, int]:
    with collection.snapshot() as snapshot:
        ids = snapshot.ids(snapshot.view.live.tolist())
        return dict(zip(ids, snapshot.view.live_births.tolist(), strict=True))


def test_everything_stays_but_where_it_lies(filled: Collection) -> None:
    before, born, version = content(filled), births(filled), filled.info().version
    dead = filled.info().dead_rows
    done = filled.compact(everything=True)
    assert (done.segments_before, done.segments_after, done.dropped) == (22, 1, dead)
    assert done.bytes_after < done.bytes_before
    assert done.bytes_written == done.bytes_after
    assert content(filled) == before
    assert births(filled) == born
    assert filled.info().version > version
    assert (filled.info().dead_rows, filled.info().segments, len(names(filled))) == (0, 1, 1)
    assert filled.verify(recompute=True).problems == []
    with filled.snapshot() as snapshot:
        assert snapshot.count(Equals("n", 5)) == 3
        assert snapshot.count(Exists("again")) == 4
        positions = snapshot.view.positions(np.array(sorted(born.values())))
        assert snapshot.view.live_births[positions].tolist() == sorted(born.values())
    with Collection.open(filled.path) as opened:
        assert content(opened) == before
        again = opened.compact(everything=True)
        assert (again.steps, again.bytes_written) == (0, 0)


def test_images_can_be_changed_after_they_were_moved(filled: Collection, make: Make) -> None:
    filled.compact(everything=True)
    filled.write([Put(make("5-0", 77)), SetMetadata("5-1", {"i": "new"}), Remove("5-2")])
    before = content(filled)
    assert "5-2" not in before
    with filled.snapshot() as snapshot:
        assert snapshot.count(Equals("i", "new")) == 1
    filled.compact(everything=True)
    assert content(filled) == before
    assert filled.verify().problems == []


def test_a_reader_keeps_what_it_has(filled: Collection) -> None:
    with filled.snapshot() as snapshot:
        keys = snapshot.live_keys()
        before = {key: snapshot.tokens(key).tobytes() for key in keys.tolist()[:5]}
        filled.compact(everything=True)
        assert len(names(filled)) == 1
        snapshot.prefetch(keys, gate=True)
        snapshot.check_rows(keys, gate=True)
        assert {key: snapshot.tokens(key).tobytes() for key in before} == before
        assert len(snapshot.recall(snapshot.coarse(keys[0]), 99)) == len(snapshot)
    with filled.snapshot() as snapshot, pytest.raises(NotFound):
        snapshot.tokens(int(keys[0]))


def test_another_process_that_meets_a_gone_file_reads_the_newest_version(
    filled: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(filled)
    with Collection.open(filled.path) as other:
        # As if the compaction came after the other's transaction began and before it mapped the segments.
        view_recall = Collection._view_recall

        def late(self: Collection, connection: Any) -> Any:
            monkeypatch.setattr(Collection, "_view_recall", view_recall)
            connection.execute("SELECT count(*) FROM images").fetchone()
            filled.compact(everything=True)
            other._segments.clear()
            other._recall = None
            return view_recall(self, connection)

        monkeypatch.setattr(Collection, "_view_recall", late)
        assert content(other) == before


def test_what_changes_while_segments_are_copied_is_not_undone(
    filled: Collection, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge = _compact.merge_segments

    def meanwhile(*arguments: Any) -> Any:
        written = merge(*arguments)
        filled.write([Remove("7-0"), Put(make("8-0", 123)), SetMetadata("9-0", {"n": "late"}), Put(make("new", 5))])
        return written

    monkeypatch.setattr(_compact, "merge_segments", meanwhile)
    before = content(filled)
    done = filled.compact(everything=True)
    after = content(filled)
    assert after.keys() == before.keys() - {"7-0"} | {"new"}
    assert after["8-0"][5] == make("8-0", 123).features.tokens.tobytes()
    assert "late" in after["9-0"][0]
    assert {id for id in before if after.get(id) != before[id]} == {"7-0", "8-0", "9-0"}
    assert (filled.info().dead_rows, done.segments_after) == (2, 2)
    assert filled.verify().problems == []


def test_neighbours_merge_and_births_rise_through_the_segments(
    filled: Collection, make: Make, monkeypatch: Any
) -> None:
    monkeypatch.setattr(_compact_plan, "MAX_ROWS", 10)
    for n in range(9):
        filled.append([make(f"late-{n}", n)])
    filled.compact()
    filled.compact(everything=True)
    with filled.snapshot() as snapshot:
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


def test_deleting_everything_leaves_no_segment(filled: Collection) -> None:
    filled.delete(list(filled.sources()))
    assert filled.compaction_due()
    done = filled.compact()
    assert (done.segments_after, done.bytes_written, names(filled)) == (0, 0, [])
    assert not filled.compaction_due()
    assert filled.verify().problems == []


def test_an_empty_collection_and_a_read_only_one(collection: Collection, make: Make) -> None:
    assert not collection.compaction_due()
    assert collection.compact(everything=True).steps == 0
    with Collection.open(collection.path, read_only=True) as opened, pytest.raises(ReadOnlyError):
        opened.compact()


def test_due_is_what_compact_does(filled: Collection) -> None:
    assert filled.compaction_due()
    before = content(filled)
    assert filled.compact().steps >= 1
    assert not filled.compaction_due()
    assert filled.compact().steps == 0
    assert content(filled) == before


@pytest.mark.parametrize("where", ["tokens", "thumbnail"])
def test_a_damaged_segment_is_left_alone_and_named(filled: Collection, make: Make, where: str) -> None:
    with filled.snapshot() as snapshot:
        (key,) = snapshot.keys(["10-2"])
        assert key is not None
        name, tokens = snapshot.view.entries[key >> 32].file, snapshot.tokens(key).tobytes()
    path = filled.path / "segments" / name
    filled.close()
    data = bytearray(path.read_bytes())
    data[data.index(tokens) if where == "tokens" else data.rindex(b"jj")] ^= 1
    path.write_bytes(data)
    with Collection.open(filled.path) as opened:
        done = opened.compact(everything=True)
        (problem,) = done.problems
        assert problem.startswith(f"segment {name} differs from its SHA-256 and was left as it is")
        assert name in names(opened)
        assert done.segments_after == 3  # those before it, it, those after it
        assert not opened.compaction_due()
        assert opened.compact(everything=True).steps == 0
        (left,) = opened.verify().problems
        assert name in left
        assert len(opened.sources()) == 52


class _Dies(Exception):
    pass


class _Dying(Disk):
    """Ends the work before the given call."""

    def __init__(self, call: str, times: int) -> None:
        super().__init__()
        self.call, self.times = call, times

    def __getattribute__(self, name: str) -> Any:
        if name == object.__getattribute__(self, "__dict__").get("call"):
            self.times -= 1
            if self.times < 0:
                raise _Dies
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    ("call", "times"), [("commit", 0), ("create", 0), ("write", 3), ("rename", 0), ("commit", 1), ("remove", 0)]
)
def test_a_crash_anywhere_loses_nothing_and_leaves_nothing(filled: Collection, call: str, times: int) -> None:
    """The disk stops working at one call, and whatever would tidy up afterwards finds it still not working."""
    before = content(filled)
    path = filled.path
    filled.close()
    dying = Collection.open(path)
    disk = _Dying(call, times)
    dying._disk = dying._writer.disk = disk
    dying._writer.sweep = dying._writer.forget_reserved = lambda: None
    with pytest.raises(_Dies):
        dying.compact(everything=True)
    dying.close()
    with Collection.open(path) as opened:
        assert content(opened) == before
        assert opened.verify().problems == []
        assert names(opened) == sorted(entry.file for entry in _entries(opened))
        opened.compact(everything=True)
        assert content(opened) == before
        assert len(names(opened)) == 1


def _entries(collection: Collection) -> Iterator[Any]:
    with collection.snapshot() as snapshot:
        yield from snapshot.view.entries.values()


def test_an_unfinished_file_is_not_removed_by_other_writers(
    filled: Collection, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge = _compact.merge_segments

    def meanwhile(path: Path, *arguments: Any) -> Any:
        written = merge(path, *arguments)
        with Collection.open(filled.path) as other:
            other.append([make("other", 1)])
            with pytest.raises(LockedError):
                other._writer.compaction_lock._wait_s = 0
                other.compact()
        assert path.exists()
        return written

    monkeypatch.setattr(_compact, "merge_segments", meanwhile)
    assert filled.compact(everything=True).segments_after == 2
    assert filled.verify().problems == []


def test_it_can_be_called_off(filled: Collection) -> None:
    before = content(filled)
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 30:
            raise CancelledError("stop")

    with pytest.raises(CancelledError):
        filled.compact(everything=True, check=check)
    assert len(names(filled)) == filled.info().segments == 21  # one had nothing but dead rows
    assert content(filled) == before


def test_its_rate_is_bounded(filled: Collection) -> None:
    done = filled.compact(everything=True, bytes_per_second=200_000)
    moved = done.bytes_before + done.bytes_written  # whole files are read, also what was deleted of them
    assert done.seconds > 0.9 * moved / 200_000
    assert len(names(filled)) == 1


def test_a_full_disk_stops_it_and_loses_nothing(filled: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(filled)

    def full(self: Disk, descriptor: int, chunk: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as small:
        small.setattr(Disk, "write", full)
        with pytest.raises(CollectionError, match="could not be written"):
            filled.compact(everything=True)
    assert content(filled) == before
    assert len(names(filled)) == 21
    assert filled.compact(everything=True).segments_after == 1


def test_nothing_is_remembered_of_what_is_gone(filled: Collection, make: Make) -> None:
    for round in range(5):
        for n in range(10):
            filled.append([make(f"x{n}", round)])
        filled.compact(everything=True)
        with filled.snapshot() as snapshot:
            snapshot.check_rows(snapshot.live_keys(), gate=False)
    assert len(filled._segments._mapped) == 1
    assert filled._segments._rows._table.rows <= 3 * len(filled.sources())


def test_an_index_from_before_serves_after(filled: Collection) -> None:
    filled.build_index()
    with filled.snapshot() as snapshot:
        vector = snapshot.coarse(int(snapshot.live_keys()[3]))
        before = [(snapshot.ids([hit.key])[0], hit.coarse) for hit in snapshot.recall(vector, 10)]
    filled.compact(everything=True)
    assert filled.info().indexed == len(filled.sources())
    with filled.snapshot() as snapshot:
        assert [(snapshot.ids([hit.key])[0], hit.coarse) for hit in snapshot.recall(vector, 10)] == before


def test_reads_writes_and_compaction_at_once(filled: Collection, make: Make) -> None:
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
        with filled.snapshot() as snapshot:
            keys = snapshot.live_keys()
            snapshot.check_rows(keys, gate=False)
            for id, key in zip(snapshot.ids(keys[:9].tolist()), keys[:9].tolist(), strict=True):
                assert snapshot.stored([key])[0].id == id

    threads = [
        threading.Thread(target=guarded(work))
        for work in (read, read, lambda: filled.compact(everything=True) and None)
    ]
    for thread in threads:
        thread.start()
    for n in range(60):
        filled.write([Put(make(f"{n % 7}", n, 1, 2)), Remove(f"{n % 5}-0"), SetMetadata("19-1", {"n": n})])
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert filled.sources()["19-1"].metadata["n"] == 59
    assert filled.verify().problems == []
