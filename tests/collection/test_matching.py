"""Filters in a snapshot: which images pass, how many, page by page, and recalled among themselves."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from setwise_engine.collection import Collection, ImageRecord, Settings, Snapshot, _index_build, _matching
from setwise_engine.encoder import Encoder
from setwise_engine.errors import CancelledError, NotFound
from setwise_engine.filters import And, AnyOf, Contains, Equals, Exists, Filter, Not, Or, Range, matches

Make = Callable[..., ImageRecord]

FILTERS: list[Filter] = [
    Equals("parity", 0),
    Range("n", ge=10, lt=14),
    Contains("tags", "t3"),
    And((Exists("n"), Not(Equals("parity", 1)))),
    Or(()),
    And(()),
    Equals("n", 7),
]


def about(n: int) -> dict[str, Any]:
    """What is known of the n-th image; every eleventh has no metadata."""
    return {} if n % 11 == 10 else {"n": n, "parity": n % 2, "tags": [f"t{n % 5}", "all"]}


def fill(collection: Collection, make: Make, numbers: range, batch: int = 7) -> None:
    for first in range(numbers.start, numbers.stop, batch):
        part = numbers[first - numbers.start :][:batch]
        collection.append([make(f"i{n:03d}", n, 2, 3, metadata=about(n)) for n in part])


def expected(snapshot: Snapshot, where: Filter) -> list[int]:
    """The oracle: every image's metadata, read and asked."""
    keys = sorted(snapshot.page("", 10_000))
    return [key for key, image in zip(keys, snapshot.stored(keys), strict=True) if matches(where, image.metadata)]


@pytest.mark.parametrize("where", FILTERS, ids=repr)
def test_matching_count_and_pages_agree(collection: Collection, make: Make, where: Filter) -> None:
    fill(collection, make, range(60))
    collection.delete(["i003", "i012"])
    collection.append([make("i013", 5, metadata={"parity": 0})])
    collection.update({"i007": {"n": 8}, "i008": {"n": 7}})
    with collection.snapshot() as snapshot:
        keys = expected(snapshot, where)
        found = snapshot.matching(where)
        assert (found.tolist(), found.dtype, found.flags.writeable) == (keys, np.int64, False)
        assert snapshot.count(where) == len(keys)
        assert snapshot.matching(where) is found
        by_id = sorted(snapshot.ids(keys))
        for limit in (1, 3, 100):
            pages: list[str] = []
            while page := snapshot.ids(snapshot.page(pages[-1] if pages else "", limit, where)):
                assert len(page) <= limit
                pages += page
            assert pages == by_id
    assert snapshot.count() == len(snapshot) == 58


def test_a_filter_sees_its_snapshots_version(collection: Collection, make: Make) -> None:
    fill(collection, make, range(6))
    where = Equals("n", 5)
    with collection.snapshot() as before:
        collection.update({"i000": {"n": 5}})
        collection.delete(["i005"])
        with collection.snapshot() as after:
            assert before.ids(before.matching(where).tolist()) == ["i005"]
            assert after.ids(after.matching(where).tolist()) == ["i000"]


@pytest.mark.parametrize("where", FILTERS, ids=repr)
def test_a_collection_of_the_first_format_is_filtered_too_and_left_as_it_is(tmp_path: Path, where: Filter) -> None:
    folder = tmp_path / "old.setwise"
    shutil.copytree(Path(__file__).parent / "fixtures" / "v1", folder)
    with sqlite3.connect(folder / "catalog.sqlite") as connection:
        for n, (key,) in enumerate(connection.execute("SELECT key FROM images").fetchall()):
            connection.execute("UPDATE images SET metadata = ? WHERE key = ?", (json.dumps(about(n + 6)), key))
    connection.close()
    with Collection.open(folder) as opened, opened.snapshot() as snapshot:
        assert snapshot.view.format == 1
        assert snapshot.matching(where).tolist() == expected(snapshot, where)


def test_what_is_remembered_is_bounded(collection: Collection, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(collection, make, range(20))
    monkeypatch.setattr(_matching, "KEPT_BYTES", 200)
    with collection.snapshot() as snapshot:
        first = snapshot.matching(Exists("n"))
        assert snapshot.matching(Exists("n")) is first
        for n in range(20):
            snapshot.matching(Range("n", ge=n))
        again = snapshot.matching(Exists("n"))
        assert again is not first
        np.testing.assert_array_equal(again, first)


def test_questions_that_nothing_passes_do_not_pile_up(
    collection: Collection, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their answers have no bytes, but they themselves may have megabytes."""
    fill(collection, make, range(5))
    monkeypatch.setattr(_matching, "KEPT_BYTES", 100_000)
    kept = _matching.Matching()
    for n in range(50):
        where = Or((AnyOf("none", tuple(f"{n} {m} {'x' * 500}" for m in range(20))), Not(Exists("n")), Equals("n", n)))
        assert len(kept.get(where, lambda: np.zeros(0, np.int64))) == 0
    assert len(kept._kept) < 12


def test_a_long_filter_ends_when_its_caller_has_gone(collection: Collection, make: Make) -> None:
    fill(collection, make, range(5))
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 10:
            raise CancelledError("the caller has gone")

    where = Or(tuple(Equals("n", n) for n in range(1000)))
    with collection.snapshot() as snapshot:
        for ask in (snapshot.matching, snapshot.count, lambda where, check: snapshot.page("", 5, where, check)):
            asked = 0
            with pytest.raises(CancelledError):
                ask(where, check)
            assert asked == 10
        assert snapshot.count(where) == 5


def brute_force(snapshot: Snapshot, vector: np.ndarray, k: int, keys: list[int]) -> list[int]:
    scores = [-float(snapshot.coarse(key) @ vector) for key in keys]
    return [keys[i] for i in np.argsort(scores, kind="stable")[:k]]


@pytest.mark.parametrize("covered", [0, 30, 60])
@pytest.mark.parametrize("where", FILTERS, ids=repr)
def test_recall_among_those_that_pass_is_exact_however_much_the_index_covers(
    collection: Collection, make: Make, covered: int, where: Filter
) -> None:
    fill(collection, make, range(covered))
    collection.build_index()
    fill(collection, make, range(covered, 60))
    collection.delete(["i001", "i002", "i040"])
    vector = collection.coarse.pool(make("q", 12, 2, 3).features.tokens)
    with collection.snapshot() as snapshot:
        keys = snapshot.matching(where)
        for k in (1, 3, len(keys), 100):
            found = [candidate.key for candidate in snapshot.recall(vector, k, keys)]
            assert found == brute_force(snapshot, vector, k, keys.tolist())


@pytest.mark.parametrize("factory", ["Flat", "SQ8", "IVF{lists},SQ8", "PCA36,IVF20,SQ8", "HNSW8"])
def test_each_kind_of_index_finds_all_that_pass_however_few(collection: Collection, make: Make, factory: str) -> None:
    names = range(1500)
    collection.append([make(f"i{n:04d}", n, 2, 3, metadata={"n": n}) for n in names])
    collection.build_index(factory=factory)
    vector = collection.coarse.pool(make("q", 700, 2, 3).features.tokens)
    with collection.snapshot() as snapshot:
        for where, some in ((Range("n", ge=1000), 500), (Range("n", ge=690, lt=710), 20), (Equals("n", 3), 1)):
            keys = snapshot.matching(where)
            assert len(keys) == some
            found = [candidate.key for candidate in snapshot.recall(vector, some, keys)]
            assert sorted(found) == keys.tolist()
            near = [candidate.key for candidate in snapshot.recall(vector, 20, keys)]
            exact = brute_force(snapshot, vector, 20, keys.tolist())
            assert len(set(near) & set(exact)) >= 16 * len(exact) // 20


def test_an_index_serves_on_when_compaction_has_moved_its_images(collection: Collection, make: Make) -> None:
    """Some moved images are in the index, some are not, and those that it has are not in the order of their keys."""
    fill(collection, make, range(30), batch=10)
    collection.build_index()
    fill(collection, make, range(30, 60), batch=10)
    collection.delete([f"i{n:03d}" for n in range(0, 60, 4)])
    collection.compact(everything=True)
    fill(collection, make, range(60, 66))
    vector = collection.coarse.pool(make("q", 9, 2, 3).features.tokens)
    with collection.snapshot() as snapshot:
        assert (collection.info().indexed, len(snapshot)) == (22, 51)
        keys = snapshot.live_keys().tolist()
        assert [found.key for found in snapshot.recall(vector, 51)] == brute_force(snapshot, vector, 51, keys)
        for where in FILTERS:
            passing = snapshot.matching(where)
            assert passing.tolist() == expected(snapshot, where)
            found = [candidate.key for candidate in snapshot.recall(vector, 7, passing)]
            assert found == brute_force(snapshot, vector, 7, passing.tolist())
    assert collection.build_index().rows == 51
    assert collection.verify().problems == []


def test_keys_of_dead_rows_and_of_none_are_refused(collection: Collection, make: Make) -> None:
    fill(collection, make, range(3))
    with collection.snapshot() as snapshot:
        dead = snapshot.keys(["i001"])
    collection.delete(["i001"])
    vector = collection.coarse.pool(make("q", 1, 2, 3).features.tokens)
    with collection.snapshot() as snapshot:
        for keys in (dead, [0], [1 << 40]):
            with pytest.raises(NotFound, match="no live image"):
                snapshot.recall(vector, 1, np.array(keys, np.int64))


@hypothesis_settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    steps=st.lists(st.sampled_from(["add", "tell", "delete", "index", "compact"]), max_size=12), seed=st.integers(0, 99)
)
def test_after_any_changes_filters_say_what_the_metadata_says(
    tmp_path_factory: pytest.TempPathFactory,
    settings: Settings,
    tiny: Encoder,
    make: Make,
    *,
    steps: list[str],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    with Collection.create(tmp_path_factory.mktemp("steps") / "c.setwise", settings, tiny) as collection:
        for number, step in enumerate(steps):
            chosen = [f"i{n}" for n in range(8) if rng.random() < 0.5]
            if step == "compact":
                collection.compact(everything=seed % 2 == 0)
                continue
            if step == "add":
                collection.append(
                    [make(id, 10 * number + int(id[1:]), 1, 2, metadata=about(int(rng.integers(20)))) for id in chosen]
                )
                continue
            with collection.snapshot() as snapshot:
                there = [id for id, key in zip(chosen, snapshot.keys(chosen), strict=True) if key is not None]
            if step == "tell":
                collection.update({id: about(int(rng.integers(20))) for id in there})
            elif step == "delete":
                collection.delete(there)
            else:
                collection.build_index()
        vector = collection.coarse.pool(make("q", 1, 1, 2).features.tokens)
        with collection.snapshot() as snapshot:
            for where in FILTERS:
                keys = snapshot.matching(where)
                assert keys.tolist() == expected(snapshot, where)
                found = [candidate.key for candidate in snapshot.recall(vector, 3, keys)]
                assert found == brute_force(snapshot, vector, 3, keys.tolist())


def test_readers_see_whole_versions_while_images_and_what_is_known_of_them_change(
    collection: Collection, make: Make
) -> None:
    fill(collection, make, range(40), batch=40)
    stop = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        vector = collection.coarse.pool(make("q", 1, 2, 3).features.tokens)
        while not stop.is_set():
            for where in FILTERS:
                with collection.snapshot() as snapshot:
                    keys = snapshot.matching(where)
                    found = {candidate.key for candidate in snapshot.recall(vector, 1000, keys)}
                    if keys.tolist() != expected(snapshot, where) or found != set(keys.tolist()):
                        wrong.append((snapshot.version, where))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    rng = np.random.default_rng(0)
    for step in range(25):
        n = int(rng.integers(60))
        collection.append([make(f"i{n:03d}", step, 2, 3, metadata=about(n + step))])
        collection.update({f"i{n:03d}": about(step)})
        collection.delete([f"i{int(rng.integers(60)):03d}"])
        if step % 8 == 0:
            collection.build_index()
        if step % 8 == 4:
            collection.compact(everything=True)
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_a_factory_stays_until_another_is_asked_for(collection: Collection, make: Make) -> None:
    fill(collection, make, range(40))
    assert collection.build_index().factory == "Flat"
    assert collection.build_index(factory="SQ8").factory == "SQ8"
    fill(collection, make, range(40, 50))
    assert collection.build_index().factory == "SQ8"
    assert collection.build_index(factory="").factory == "Flat"
    assert collection.build_index().factory == "Flat"


@pytest.mark.parametrize("factory", ["nonsense", "IVF4096,Flat"])
def test_a_factory_that_faiss_cannot_make_is_refused_and_the_old_index_stays(
    collection: Collection, make: Make, factory: str
) -> None:
    fill(collection, make, range(20))
    collection.build_index()
    with pytest.raises(ValueError, match="FAISS cannot make an index") as caught:
        collection.build_index(factory=factory)
    assert caught.value.field == "index_factory"  # type: ignore[attr-defined]
    assert collection.info().index is not None


def test_a_build_can_be_given_up(collection: Collection, make: Make) -> None:
    fill(collection, make, range(20))

    def enough() -> None:
        raise NotFound("given up")

    with pytest.raises(NotFound, match="given up"):
        collection.build_index(check=enough)
    assert collection.info().index is None


def test_an_index_is_due_when_much_is_new_or_dead_or_it_is_damaged(
    collection: Collection, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("setwise_engine.collection._recall.DUE_ROWS", 10)
    assert not collection.index_due()
    fill(collection, make, range(10))
    assert not collection.index_due()
    fill(collection, make, range(10, 20))
    assert collection.index_due()
    collection.build_index()
    assert not collection.index_due()
    collection.delete([f"i{n:03d}" for n in range(11)])
    assert collection.index_due()
    collection.build_index()
    assert not collection.index_due()
    (collection.path / "index" / "coarse.json").write_text("{}")
    assert collection.index_due()
    collection.build_index()
    assert not collection.index_due()


def test_a_later_versions_index_of_another_process_is_not_replaced_by_an_older_one(
    collection: Collection, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(collection, make, range(7))
    make_index = _index_build._make

    def meanwhile(*args: Any) -> Any:
        monkeypatch.undo()
        with Collection.open(collection.path) as other:
            other.append([make("new", 3)])
            assert other.build_index().rows == 8
        return make_index(*args)

    monkeypatch.setattr(_index_build, "_make", meanwhile)
    assert collection.build_index().rows == 8
    assert collection.info().indexed == 8
    assert len(list((collection.path / "index").iterdir())) == 3
