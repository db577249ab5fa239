"""The catalog's tables: a collection of an older format is read as it is, and brought up to date by its first write."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from setwise_engine.collection import Collection, ImageRecord, Put, Remove, SetMetadata
from setwise_engine.errors import CorruptError
from setwise_engine.filters import Exists, Not

FIXTURE = Path(__file__).parent / "fixtures" / "v1-gate1"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A collection of format version 1, written by a release of its time."""
    folder = tmp_path / "old.setwise"
    shutil.copytree(FIXTURE, folder)
    return folder


def shape(folder: Path) -> tuple[int, set[str]]:
    """Format version, tables and indexes of the catalog."""
    connection = sqlite3.connect(folder / "catalog.sqlite")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    return version, names


def matching(collection: Collection) -> dict[str, list[str]]:
    """Ids of the images that have each field."""
    names = {name for known in collection.sources().values() for name in known.metadata}
    with collection.snapshot() as snapshot:
        return {name: sorted(snapshot.ids(snapshot.matching(Exists(name)).tolist())) for name in names}


def test_reading_changes_nothing(old: Path) -> None:
    before = shape(old)
    with Collection.open(old) as opened:
        assert opened.info().format_version == 1
        assert any(matching(opened).values())
        assert opened.compaction_due() in (True, False)
        assert opened.write([Remove("there is no such image")]).version == opened.info().version
    assert shape(old) == before
    assert before[0] == 1
    assert "entries" not in before[1]


@pytest.fixture(params=["write", "delete_where", "compact"])
def upgraded(old: Path, request: pytest.FixtureRequest) -> Iterator[Collection]:
    """The collection after a first change of any kind."""
    with Collection.open(old) as opened:
        match request.param:
            case "write":
                opened.write([SetMetadata(next(iter(opened.sources())), {"new": 1})])
            case "delete_where":
                opened.delete_where(Not(Exists("there is no such field")))
            case _:
                opened.compact(everything=True)
        yield opened


def test_the_first_write_brings_it_up_to_date(upgraded: Collection, tmp_path: Path) -> None:
    assert upgraded.info().format_version == 2
    assert upgraded.verify().problems == []
    with Collection.open(upgraded.path) as opened:
        assert opened.info().format_version == 2
        assert matching(opened) == matching(upgraded)
    version, names = shape(upgraded.path)
    assert version == 2
    assert {"entries", "fields", "images_of_birth", "dead_of_version", "segments_kept"} <= names


def test_filters_answer_as_before(old: Path, make: Callable[..., ImageRecord]) -> None:
    with Collection.open(old) as opened:
        before, known = matching(opened), opened.sources()
        encoder = opened.encoder.fingerprint
        record = make("new", 1, metadata={"new": 1})
        assert record.features.encoder == encoder
        opened.write([Put(record)])
        assert {name: ids for name, ids in matching(opened).items() if name != "new"} == before
        assert matching(opened)["new"] == ["new"]
        assert {id: each for id, each in opened.sources().items() if id != "new"} == known
        with opened.snapshot() as snapshot:
            assert np.array_equal(snapshot.view.live_births, snapshot.view.live)


def test_what_cannot_be_brought_up_to_date_stays_as_it_was(old: Path) -> None:
    connection = sqlite3.connect(old / "catalog.sqlite")
    connection.execute("UPDATE images SET metadata = '[' WHERE id = (SELECT max(id) FROM images)")
    connection.commit()
    connection.close()
    before = shape(old)
    with Collection.open(old) as opened, pytest.raises(CorruptError, match="is damaged"):
        with opened.snapshot() as snapshot:
            (id, *_) = snapshot.ids(snapshot.page("", 1))
        opened.write([Remove(id)])
    assert shape(old) == before
