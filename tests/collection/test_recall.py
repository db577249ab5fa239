"""Recall finds what the coarse vectors say, with an index, without one, and with one that lags behind."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from setwise_engine.collection import Collection, ImageRecord, Settings, Snapshot, _index_build
from setwise_engine.encoder import Encoder
from setwise_engine.errors import Incompatible

Make = Callable[..., ImageRecord]


def best(snapshot: Snapshot, vector: np.ndarray, k: int) -> list[str]:
    return snapshot.ids([found.key for found in snapshot.recall(vector, k)])


def brute_force(snapshot: Snapshot, vector: np.ndarray, k: int) -> list[str]:
    """The oracle: all inner products, sorted; ties in the order of the keys."""
    keys = sorted(snapshot.page("", 10_000))
    scores = [-float(snapshot.coarse(key) @ vector) for key in keys]
    return snapshot.ids([keys[i] for i in np.argsort(scores, kind="stable")[:k]])


def fill(collection: Collection, make: Make, names: list[str], batch: int = 7, seed: int = 0) -> None:
    for first in range(0, len(names), batch):
        part = names[first : first + batch]
        collection.append([make(name, seed + first + n, 2, 3) for n, name in enumerate(part)])


def query(collection: Collection, make: Make, seed: int) -> np.ndarray:
    return collection.coarse.pool(make("q", seed, 2, 3).features.tokens)


def test_an_empty_collection_recalls_nothing(collection: Collection, make: Make) -> None:
    vector = query(collection, make, 0)
    for build in (False, True):
        if build:
            assert collection.build_index().rows == 0
        with collection.snapshot() as snapshot:
            assert snapshot.recall(vector, 5) == []


@pytest.mark.parametrize("covered", [0, 30, 60])
def test_recall_is_exact_however_much_the_index_covers(collection: Collection, make: Make, covered: int) -> None:
    names = [f"i{n:02d}" for n in range(60)]
    fill(collection, make, names[:covered])
    collection.delete(names[3:6])
    collection.build_index()
    fill(collection, make, names[covered:], seed=covered)
    collection.append([make("i00", 500), make("i59", 501)])
    collection.delete(names[20:24])
    with collection.snapshot() as snapshot:
        for seed in range(5):
            vector = query(collection, make, seed)
            for k in (1, 5, len(snapshot), 1000):
                assert best(snapshot, vector, k) == brute_force(snapshot, vector, k)
        assert snapshot.recall(vector, 0) == []


@hypothesis_settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    steps=st.lists(st.sampled_from(["add", "replace", "delete", "index", "compact"]), max_size=14),
    seed=st.integers(0, 99),
)
def test_no_sequence_of_changes_brings_back_a_dead_row(
    tmp_path_factory: pytest.TempPathFactory,
    settings: Settings,
    tiny: Encoder,
    make: Make,
    *,
    steps: list[str],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    live: set[str] = set()
    with Collection.create(tmp_path_factory.mktemp("steps") / "c.setwise", settings, tiny) as collection:
        for number, step in enumerate(steps):
            chosen = [id for id in sorted(live) if rng.random() < 0.7]
            if step == "add":
                added = [f"{number}-{n}" for n in range(int(rng.integers(1, 6)))]
                collection.append([make(id, number * 10 + n, 1, 3) for n, id in enumerate(added)])
                live |= set(added)
            elif step == "replace":
                collection.append([make(id, number * 10 + n, 1, 2) for n, id in enumerate(chosen)])
            elif step == "delete":
                collection.delete(chosen)
                live -= set(chosen)
            elif step == "compact":
                collection.compact(everything=seed % 2 == 0)
            else:
                collection.build_index()
        vector = query(collection, make, seed)
        with collection.snapshot() as snapshot:
            assert len(snapshot) == len(live)
            assert best(snapshot, vector, 3) == brute_force(snapshot, vector, 3)
            assert set(best(snapshot, vector, 100)) == live


def test_dead_rows_do_not_starve_recall(collection: Collection, make: Make) -> None:
    names = [f"i{n:03d}" for n in range(200)]
    fill(collection, make, names, batch=200)
    collection.build_index()
    vector = query(collection, make, 0)
    with collection.snapshot() as snapshot:
        ranked = brute_force(snapshot, vector, 200)
    collection.delete(ranked[:150])
    with collection.snapshot() as snapshot:
        assert best(snapshot, vector, 10) == ranked[150:160]
        assert collection.info().indexed == 50


@pytest.mark.parametrize("factory", [text for _, text in _index_build.FACTORIES])
def test_each_kind_of_index_finds_the_best(
    collection: Collection, make: Make, monkeypatch: pytest.MonkeyPatch, factory: str
) -> None:
    monkeypatch.setattr(_index_build, "FACTORIES", ((math.inf, factory),))
    names = [f"i{n:04d}" for n in range(3000)]
    fill(collection, make, names, batch=1000)
    built = collection.build_index()
    assert (built.rows, built.factory) == (3000, factory.format(lists=219))
    with collection.snapshot() as snapshot:
        vector = query(collection, make, 2)
        assert len(best(snapshot, vector, 2500)) == 2500  # more than the probed lists hold
        assert best(snapshot, vector, 5)[0] == "i0002"
        exact = brute_force(snapshot, vector, 10)
        assert len(set(best(snapshot, vector, 50)) & set(exact)) >= 8
    assert collection.verify().ok


def test_a_vector_of_another_length_is_refused(collection: Collection) -> None:
    with collection.snapshot() as snapshot, pytest.raises(Incompatible, match="36 numbers"):
        snapshot.recall(np.zeros(35, np.float32), 1)


@pytest.mark.parametrize(
    "damage", ["missing", "flipped", "births", "cut", "sidecar", "version", "owner", "empty", "type"]
)
def test_an_index_that_cannot_be_used_is_ignored_with_a_line_in_the_log(
    collection: Collection, make: Make, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    fill(collection, make, [f"i{n}" for n in range(20)])
    collection.build_index()
    collection.close()
    (path,) = (collection.path / "index").glob("*.faiss")
    sidecar = collection.path / "index" / "coarse.json"
    data, said = path.read_bytes(), json.loads(sidecar.read_text())
    match damage:
        case "missing":
            path.unlink()
        case "flipped":
            path.write_bytes(data[:-9] + bytes([data[-9] ^ 4]) + data[-8:])
        case "births":
            (births,) = (collection.path / "index").glob("*.births")
            births.write_bytes(births.read_bytes()[::-1])
        case "type":
            sidecar.write_text(json.dumps(said | {"segments": ["1"]}))
        case "cut":
            path.write_bytes(data[:-100])
        case "sidecar":
            sidecar.write_text(sidecar.read_text()[:-20])
        case "version":
            sidecar.write_text(json.dumps(said | {"format": 3}))
        case "owner":
            sidecar.write_text(json.dumps(said | {"collection": "another"}))
        case "empty":
            sidecar.write_text("[]")
    with caplog.at_level(logging.WARNING, "setwise"), Collection.open(collection.path) as opened:
        with opened.snapshot() as snapshot:
            vector = query(opened, make, 3)
            assert best(snapshot, vector, 9) == brute_force(snapshot, vector, 9)
        assert opened.info().indexed == 0
        assert "running `setwise index` again makes a new one" in caplog.text
        assert damage == "owner" or not opened.verify().ok
        opened.build_index()
        assert (opened.info().indexed, opened.verify().problems) == (20, [])
        assert len(list((collection.path / "index").iterdir())) == 3


def test_without_an_index_folder_all_is_well(collection: Collection, make: Make) -> None:
    fill(collection, make, ["a", "b"])
    (collection.path / "index").rmdir()
    with Collection.open(collection.path) as opened:
        assert opened.info().index is None
        assert opened.verify().ok
        assert opened.build_index().rows == 2


def test_an_index_from_after_a_restored_backup_is_not_used(collection: Collection, make: Make, tmp_path: Path) -> None:
    """The catalog goes back, other images take the numbers of the lost ones, and the index still has those."""
    fill(collection, make, ["a", "b"], batch=1)
    collection.close()
    backup = (collection.path / "catalog.sqlite").read_bytes()
    with Collection.open(collection.path) as opened:
        fill(opened, make, ["lost", "c"], batch=1)
        opened.build_index()
    (collection.path / "catalog.sqlite").write_bytes(backup)
    with Collection.open(collection.path) as opened:
        assert opened.info().indexed == 0
        fill(opened, make, ["new", "d"], batch=1)
        assert opened.info().version == 4
        assert opened.info().indexed == 0
        with opened.snapshot() as snapshot:
            vector = query(opened, make, 0)
            assert best(snapshot, vector, 9) == brute_force(snapshot, vector, 9)


def test_a_reader_notices_an_index_that_another_has_built(collection: Collection, make: Make) -> None:
    fill(collection, make, ["a", "b"])
    with Collection.open(collection.path, read_only=True) as reader:
        assert reader.info().indexed == 0
        collection.build_index()
        assert reader.info().indexed == 2
        fill(collection, make, ["c"])
        assert (reader.info().indexed, reader.info().images) == (2, 3)
        collection.build_index()
        assert reader.info().indexed == 3
        with reader.snapshot() as snapshot:
            vector = query(reader, make, 1)
            assert best(snapshot, vector, 3) == brute_force(snapshot, vector, 3)


def test_a_recall_leaves_the_callers_openmp_threads_alone(collection: Collection, make: Make) -> None:
    """Torch may share the setting: after a recall its sums would be split otherwise, and give other last bits."""
    fill(collection, make, ["a", "b", "c"])
    before = faiss.omp_get_max_threads()
    collection.build_index()
    with collection.snapshot() as snapshot:
        snapshot.recall(query(collection, make, 0), 2)
    assert faiss.omp_get_max_threads() == before
