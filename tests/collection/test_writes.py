"""Many changes in one commit: what each comes to, and that the collection then holds exactly what they say."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from setwise_engine.collection import Change, Collection, ImageRecord, Mode, Outcome, Put, Remove, SetMetadata, Source
from setwise_engine.errors import (
    AlreadyExists,
    EngineError,
    FeatureError,
    Incompatible,
    InvalidInput,
    NotFound,
    ReadOnlyError,
)
from setwise_engine.feature_set import FeatureSet, Stage
from setwise_engine.filters import Contains, Equals, Exists, Range

Make = Callable[..., ImageRecord]


def metadata(collection: Collection) -> dict[str, dict[str, Any]]:
    return {id: known.metadata for id, known in collection.sources().items()}


def kinds(results: tuple[Outcome | EngineError, ...]) -> list[object]:
    return [result if isinstance(result, Outcome) else type(result) for result in results]


def files(collection: Collection) -> list[str]:
    return sorted(path.name for path in (collection.path / "segments").iterdir())


def test_each_change_has_its_outcome_in_its_place(collection: Collection, make: Make) -> None:
    first = collection.write(
        [Put(make("a", 1)), Put(make("b", 2), Mode.INSERT), Remove("c"), SetMetadata("a", {"n": 1})]
    )
    assert kinds(first.results) == [Outcome.INSERTED, Outcome.INSERTED, Outcome.MISSING, Outcome.UPDATED]
    second = collection.write([Put(make("a", 3)), Remove("b"), SetMetadata("a", {})])
    assert kinds(second.results) == [Outcome.REPLACED, Outcome.REMOVED, Outcome.UNCHANGED]
    assert (first.version, second.version) == (1, 2)
    assert metadata(collection) == {"a": {}}
    assert collection.verify().problems == []


def test_a_change_that_cannot_be_made_does_not_stop_the_others(collection: Collection, make: Make) -> None:
    raw = FeatureSet(np.zeros((1, 8), np.float16), Stage.RAW, "", "")
    huge = FeatureSet(np.full((1, 8), 1e30, np.float32), Stage.ENCODED, "", collection.encoder.fingerprint)
    written = collection.write(
        [
            Put(make("a", 1)),
            Put(make("a", 2), Mode.INSERT),
            Put(make("b", 2), Mode.UPDATE),
            SetMetadata("b", {}),
            Put(make("", 1)),
            Remove("\ud800"),
            Put(ImageRecord("raw", raw)),
            Put(ImageRecord("huge", huge)),
            Put(make("c", 1, metadata={"x": float("nan")})),
            SetMetadata("a", {"x": 1 << 64}),
            Put(make("d", 4)),
        ]
    )
    assert kinds(written.results) == [
        *(Outcome.INSERTED, AlreadyExists, NotFound, NotFound, InvalidInput, InvalidInput),
        *(Incompatible, FeatureError, InvalidInput, InvalidInput, Outcome.INSERTED),
    ]
    assert sorted(metadata(collection)) == ["a", "d"]


def test_the_last_of_a_thousand_versions_is_the_one_that_is_stored(collection: Collection, make: Make) -> None:
    written = collection.write([Put(make("a", n, 1, 2)) for n in range(1000)])
    assert kinds(written.results) == [Outcome.INSERTED, *[Outcome.REPLACED] * 999]
    with collection.snapshot() as snapshot:
        (key,) = snapshot.page("", 10)
        assert key is not None
        np.testing.assert_array_equal(snapshot.tokens(key), make("a", 999, 1, 2).features.tokens)
        assert snapshot.view.entries[1].rows == 1


def test_what_is_stored_already_is_not_written_again(collection: Collection, make: Make) -> None:
    record = make("a", 1, content_hash="ab", metadata={"n": 1})
    assert collection.write([Put(record)]).results == (Outcome.INSERTED,)
    before = files(collection)
    again = collection.write([Put(record), SetMetadata("a", {"n": 1}), Remove("none")])
    assert again.version == 1
    assert kinds(again.results) == [Outcome.UNCHANGED, Outcome.UNCHANGED, Outcome.MISSING]
    other = collection.write([Put(make("a", 1, content_hash="ab", metadata={"n": 1.0}))])
    assert (other.version, other.results) == (2, (Outcome.UPDATED,))
    moved = Source("elsewhere", 7, 8)
    assert collection.write([Put(make("a", 1, content_hash="ab", metadata={"n": 1.0}, source=moved))]).version == 3
    assert collection.sources()["a"].source == moved
    assert files(collection) == before
    assert collection.write([Put(make("a", 2, content_hash="", metadata={"n": 1}))]).results == (Outcome.REPLACED,)
    assert len(files(collection)) == 2


def test_the_order_of_names_does_not_matter(collection: Collection, make: Make) -> None:
    collection.write([Put(make("a", 1, content_hash="x", metadata={"p": 1, "q": [True, 2]}))])
    again = collection.write([Put(make("a", 1, content_hash="x", metadata={"q": [True, 2], "p": 1}))])
    assert again.results == (Outcome.UNCHANGED,)
    other = collection.write([Put(make("a", 1, content_hash="x", metadata={"p": True, "q": [1, 2]}))])
    assert other.results == (Outcome.UPDATED,)  # true is not 1


def test_metadata_is_set_dropped_or_replaced(collection: Collection, make: Make) -> None:
    collection.write([Put(make("a", 1, metadata={"x": 1, "y": 2}))])
    collection.write([SetMetadata("a", {"y": 3, "z": 4}, remove=("x", "never"))])
    assert metadata(collection) == {"a": {"y": 3, "z": 4}}
    collection.write([SetMetadata("a", {"only": None}, replace=True)])
    assert metadata(collection) == {"a": {"only": None}}
    with collection.snapshot() as snapshot:
        assert [snapshot.count(Exists(name)) for name in ("x", "y", "z", "only")] == [0, 0, 0, 1]


def test_nothing_to_change_is_the_present_version(collection: Collection, make: Make) -> None:
    collection.append([make("a")])
    assert collection.write([]).version == collection.write([Remove("b")]).version == 1
    assert collection.delete(["b"]) == collection.update({}) == 1
    with Collection.open(collection.path, read_only=True) as opened, pytest.raises(ReadOnlyError):
        opened.write([])


def test_deletion_by_filter(collection: Collection, make: Make) -> None:
    collection.append([make(str(n), n, 1, 1, metadata={"n": n, "tags": [n % 3]}) for n in range(10)])
    written = collection.delete_where(Contains("tags", 0))
    assert (written.version, written.results) == (2, (Outcome.REMOVED,) * 4)
    assert sorted(metadata(collection)) == ["1", "2", "4", "5", "7", "8"]
    assert collection.delete_where(Equals("n", 3)) == type(written)(2, ())
    assert len(collection.delete_where(Range("n", ge=0)).results) == 6
    with collection.snapshot() as snapshot:
        assert (len(snapshot), snapshot.count(Exists("n"))) == (0, 0)


def test_writers_in_several_threads_and_openings_lose_nothing(collection: Collection, make: Make) -> None:
    failures: list[BaseException] = []

    def work(name: str, opened: Collection) -> None:
        try:
            for n in range(8):
                opened.write([Put(make(f"{name}-{n}", n, 1, 1)), Put(make("shared", n, 1, 1, metadata={"by": name}))])
        except BaseException as error:
            failures.append(error)

    with Collection.open(collection.path) as second:
        threads = [threading.Thread(target=work, args=(str(n), (collection, second)[n % 2])) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert len(metadata(collection)) == 33
    with collection.snapshot() as snapshot:
        assert snapshot.version == 32
        assert snapshot.count(Exists("by")) == 1


IDS = st.sampled_from("abc")
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([1.0, 0.5]), st.sampled_from(["", "x"])
)
METADATA = st.dictionaries(st.sampled_from("pq"), st.one_of(VALUES, st.lists(VALUES, max_size=2)), max_size=2)
CHANGES = st.one_of(
    st.tuples(st.just("put"), IDS, st.integers(0, 2), METADATA, st.sampled_from(Mode)),
    st.tuples(st.just("remove"), IDS),
    st.tuples(st.just("set"), IDS, METADATA, st.booleans(), st.lists(st.sampled_from("pq"), max_size=1)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(CHANGES, min_size=1, max_size=6), min_size=1, max_size=4))
def test_any_changes_do_what_they_would_do_one_by_one(
    batches: list[list[tuple[Any, ...]]], collection: Collection, make: Make
) -> None:
    collection.delete(list("abc"))
    model: dict[str, tuple[int, dict[str, Any]]] = {}
    for batch in batches:
        changes, expected = [], []
        for change in batch:
            changes.append(_change(make, change))
            expected.append(_apply(model, change))
        assert kinds(collection.write(changes).results) == expected
        assert repr(metadata(collection)) == repr({id: model[id][1] for id in metadata(collection)})
        assert sorted(metadata(collection)) == sorted(model)
        with collection.snapshot() as snapshot:
            for id, (seed, values) in model.items():
                (key,) = snapshot.keys([id])
                assert key is not None
                np.testing.assert_array_equal(snapshot.tokens(key), make(id, seed, 1, 1).features.tokens)
                for name in "pq":
                    assert (key in snapshot.matching(Exists(name))) == (name in values)


def _change(make: Make, change: tuple[Any, ...]) -> Change:
    match change:
        case ("put", id, seed, values, mode):
            # A seed of 0 has no content hash, so it is stored anew each time.
            return Put(make(id, seed, 1, 1, metadata=values, content_hash=str(seed or "")), mode)
        case ("remove", id):
            return Remove(id)
        case (_, id, values, replace, remove):
            return SetMetadata(id, values, replace, tuple(remove))
    raise AssertionError(change)


def _apply(model: dict[str, tuple[int, dict[str, Any]]], change: tuple[Any, ...]) -> object:
    """What the change comes to, by the words of `Change`, and the model after it."""
    kind, id, *rest = change
    before = model.get(id)
    if kind == "remove":
        return Outcome.MISSING if model.pop(id, None) is None else Outcome.REMOVED
    if kind == "put":
        seed, values, mode = rest
        refused = NotFound if before is None else AlreadyExists
        if mode is (Mode.UPDATE if before is None else Mode.INSERT):
            return refused
        model[id] = (seed, values)
        if before is not None and seed and seed == before[0]:
            return _changed(model, id, before, values)
        return Outcome.INSERTED if before is None else Outcome.REPLACED
    if before is None:
        return NotFound
    values, replace, remove = rest
    kept = {} if replace else {name: value for name, value in before[1].items() if name not in remove}
    return _changed(model, id, before, kept | values)


def _changed(
    model: dict[str, tuple[int, dict[str, Any]]], id: str, before: tuple[int, dict[str, Any]], values: dict[str, Any]
) -> Outcome:
    if repr(sorted(values.items())) == repr(sorted(before[1].items())):
        model[id] = before
        return Outcome.UNCHANGED
    model[id] = (before[0], values)
    return Outcome.UPDATED


def test_a_failed_commit_leaves_nothing_and_the_next_one_works(
    collection: Collection, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.append([make("a", 1)])
    with monkeypatch.context() as broken:
        broken.setattr(collection._disk, "commit", lambda connection: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            collection.write([Put(make("b", 2)), Remove("a")])
    assert sorted(metadata(collection)) == ["a"]
    assert collection.write([Put(make("b", 2))]).version == 2
    assert len(files(collection)) == 2  # the segment of the failed commit was swept
    assert Path(collection.path / "writer.lock").read_bytes() == b""
