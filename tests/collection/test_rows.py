"""Rows by the thousand: the blocks that the matching reads, and what is read ahead and checked of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from setwise_engine.collection import Collection, ImageRecord, Snapshot, _mapping, _segment
from setwise_engine.collection._rows import Rows
from setwise_engine.errors import CorruptError, NotFound
from setwise_engine.feature_set import FeatureSet, Stage

Make = Callable[..., ImageRecord]
both = pytest.mark.parametrize("gate", [False, True])


@pytest.fixture
def filled(collection: Collection, make: Make) -> Collection:
    """Thirty segments of one to four images; some images replaced, some deleted, some without tokens."""
    rng = np.random.default_rng(0)
    empty = FeatureSet(np.zeros((0, 8), np.float16), Stage.ENCODED, "", collection.encoder.fingerprint)
    for segment in range(30):
        records = [
            make(f"{segment}-{n}", 7 * segment + n, 1, int(rng.integers(1, 6))) for n in range(rng.integers(1, 5))
        ]
        collection.append([*records, ImageRecord(f"{segment}-empty", empty)])
    collection.append([make(f"{segment}-0", 999 + segment) for segment in range(0, 30, 7)])
    collection.delete([f"{segment}-empty" for segment in range(0, 30, 2)] + ["4-0"])
    return collection


def keys_by_id(snapshot: Snapshot) -> NDArray[np.int64]:
    return np.array(snapshot.page("", 1000), np.int64)


def flip_bytes(path: Path, old: bytes) -> None:
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, bytes([old[0] ^ 1]) + old[1:]))


def test_live_keys_are_those_of_the_images(filled: Collection) -> None:
    with filled.snapshot() as snapshot:
        live = snapshot.live_keys()
        assert live.dtype == np.int64
        assert live.tolist() == sorted(keys_by_id(snapshot).tolist())
        assert len(live) == len(snapshot)
        assert not live.flags.writeable
        assert snapshot.view.is_live(live).all()


def test_an_empty_collection_has_no_rows(collection: Collection) -> None:
    with collection.snapshot() as snapshot:
        assert snapshot.live_keys().tolist() == []
        assert len(snapshot.blocks()) == 0
        snapshot.check_rows([], gate=True)
        snapshot.prefetch([], gate=True)
        with pytest.raises(NotFound):
            snapshot.check_rows([1 << 32], gate=False)


def test_blocks_are_the_segments(filled: Collection) -> None:
    with filled.snapshot() as snapshot:
        blocks = snapshot.blocks()
        assert list(blocks) == list(range(1, 32))
        for key in keys_by_id(snapshot).tolist():
            block, row = blocks[key >> 32], key & 0xFFFFFFFF
            tokens = block.tokens[block.offsets[row] : block.offsets[row + 1]]
            np.testing.assert_array_equal(tokens, snapshot.tokens(key))
            assert tokens.size == 0 or np.shares_memory(tokens, snapshot.tokens(key))
            assert block.squares[row] == snapshot.square(key)
        with pytest.raises(KeyError):
            blocks[77]


def test_blocks_stay_the_same_for_a_version(filled: Collection) -> None:
    with Collection.open(filled.path) as opened:
        with opened.snapshot() as snapshot:
            blocks = snapshot.blocks()
            assert blocks[3] is blocks[3]
        with opened.snapshot() as snapshot:
            assert snapshot.blocks() is blocks
        filled.delete(["29-0"])
        with opened.snapshot() as snapshot:
            assert snapshot.blocks() is not blocks
            assert snapshot.blocks()[3] is blocks[3]


def test_what_no_view_names_any_more_is_forgotten(filled: Collection) -> None:
    with filled.snapshot() as snapshot:
        view = snapshot.view
        numbers, rows = view.split(snapshot.live_keys())
    segments = {number: segment for number, segment in view.segments.items() if number > 20}
    held = Rows()
    held.hold(view.segments)
    checked: list[int] = []
    late = numbers > 20
    held.check(view.segments, numbers[late], rows[late], checked.append, gate=False)
    assert len(checked) == late.sum()
    held.hold(segments)
    assert held._table.segments == len(segments)
    held.check(segments, numbers[late], rows[late], checked.append, gate=False)
    assert len(checked) == late.sum()  # what was checked stays so
    held.check(view.segments, numbers, rows, checked.append, gate=False)  # a view that is still in use
    assert len(checked) == len(numbers) == len(set(checked)) + late.sum()


@both
def test_every_row_is_checked_once_in_any_order(
    filled: Collection, gate: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[int] = []
    monkeypatch.setattr(_segment.Segment, "check", lambda self, row, id, *, gate: checked.append(row))
    with filled.snapshot() as snapshot:
        keys = np.random.default_rng(1).permutation(snapshot.live_keys())
        for part in (keys[:5], keys[:20], np.concatenate([keys, keys]), keys[::-1]):
            snapshot.check_rows(part, gate=gate)
    assert sorted(checked) == sorted((keys & 0xFFFFFFFF).tolist())


def test_damage_names_image_and_file_and_only_that_row(filled: Collection) -> None:
    with filled.snapshot() as snapshot:
        key = snapshot.keys(["17-0"])[0]
        assert key is not None
        name = snapshot.view.entries[key >> 32].file
        tokens = snapshot.tokens(key).tobytes()
    filled.close()
    flip_bytes(filled.path / "segments" / name, tokens)
    with Collection.open(filled.path) as opened, opened.snapshot() as snapshot:
        live = snapshot.live_keys()
        snapshot.check_rows(live[live != key], gate=False)
        snapshot.check_rows(live, gate=True)
        for _ in range(2):  # what failed is not taken for checked
            with pytest.raises(CorruptError, match=f"tokens of image '17-0', row 0 of segment {name}"):
                snapshot.check_rows(live, gate=False)
            with pytest.raises(CorruptError, match="image '17-0'"):
                snapshot.tokens(key)


@both
@pytest.mark.parametrize("key", [-1, -(1 << 32), 0, 1 << 32 | 99, 99 << 32, (1 << 63) - 1])
def test_keys_of_no_row_are_refused(filled: Collection, key: int, gate: bool) -> None:
    with filled.snapshot() as snapshot:
        for call in (snapshot.check_rows, snapshot.prefetch):
            with pytest.raises(NotFound, match=f"no image with key {key}"):
                call([1 << 32, key], gate=gate)
        assert not snapshot.view.is_live(np.array([key])).any()


def test_neighbouring_rows_are_read_ahead_together(filled: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(_mapping._system, "madvise", lambda start, size, advice: asked.append((start, start + size)))
    with filled.snapshot() as snapshot:
        live = snapshot.live_keys()
        snapshot.prefetch(np.random.default_rng(2).permutation(live))
        tokens = {key: snapshot.tokens(key) for key in live.tolist()}
        assert len(asked) == len({key >> 32 for key in tokens if tokens[key].size})  # one a segment: these are small
        assert all(start % _mapping.PAGE == 0 for start, _ in asked)
        spans = [(array.ctypes.data, array.ctypes.data + array.nbytes) for array in tokens.values() if array.size]
        assert all(any(a <= first and last <= b for a, b in asked) for first, last in spans)
        assert {end for _, end in asked} <= {last for _, last in spans}


def test_rows_far_apart_are_read_ahead_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(_mapping._system, "madvise", lambda start, size, advice: asked.append((start, start + size)))
    page, gap = _mapping.PAGE, _mapping._GAP
    starts = np.array([5 * gap, 0, 10, 1000, 5 * gap + 100, 9 * gap])
    ends = starts + np.array([50, 10, 100, 0, 300, 10])
    _mapping.read_ranges_ahead(starts, ends, np.array([1, 1, 1, 1, 2, 2]))
    assert asked == [
        (0, 110),
        (5 * gap // page * page, 5 * gap + 50),
        ((5 * gap + 100) // page * page, 5 * gap + 400),
        (9 * gap // page * page, 9 * gap + 10),
    ]


def test_threads_that_map_check_and_read_ahead_at_once(filled: Collection) -> None:
    failures: list[BaseException] = []

    def work(seed: int, opened: Collection) -> None:
        try:
            with opened.snapshot() as snapshot:
                keys = np.random.default_rng(seed).permutation(snapshot.live_keys())
                for part in np.array_split(keys, 7):
                    snapshot.prefetch(part, gate=seed % 2 == 0)
                    snapshot.check_rows(part, gate=seed % 2 == 1)
                assert opened._segments._rows._table.seen[int(seed % 2 == 1)].any()
        except BaseException as error:
            failures.append(error)

    for _ in range(5):
        with Collection.open(filled.path) as opened:
            threads = [threading.Thread(target=work, args=(seed, opened)) for seed in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert failures == []
