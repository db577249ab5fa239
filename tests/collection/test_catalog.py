"""Connections to the catalog: what is kept between commits, a log that does not grow for ever, and other processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from setwise_engine.collection import Collection, ImageRecord, Put, SetMetadata, _catalog
from setwise_engine.collection._catalog import Catalog, read_number
from setwise_engine.errors import CollectionError, CorruptError, LockedError, NotFound

Make = Callable[..., ImageRecord]

DELETE = """
import sys
from setwise_engine.collection import Collection
with Collection.open(sys.argv[1]) as collection:
    collection.delete([sys.argv[2]])
"""


def log(collection: Collection) -> int:
    """Bytes of SQLite's log."""
    return (collection.path / "catalog.sqlite-wal").stat().st_size


def test_a_long_log_is_emptied_once_its_readers_have_gone(
    collection: Collection, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_catalog, "_LONG_LOG", 1 << 20)
    monkeypatch.setattr(_catalog, "_SHORTEN_EVERY_S", 0.0)
    monkeypatch.setattr(_catalog, "_SHORTEN_WAIT_MS", 1)
    collection.append([make("a", 1)])
    longest = 0
    for n in range(3):
        with collection.snapshot() as reader:
            for m in range(10):
                collection.write([SetMetadata("a", {"text": f"{n} {m} {'x' * 400_000}"})])
            longest = max(longest, log(collection))
            assert reader.stored(reader.page("", 1))[0].metadata.get("n") == (n - 1 if n else None)  # its own version
        collection.write([SetMetadata("a", {"n": n})])
        assert log(collection) == 0
    assert longest > 1 << 20
    assert collection.verify().problems == []


def test_one_connection_writes_and_forgets_what_failed(collection: Collection, make: Make) -> None:
    collection.append([make("a", 1)])
    writer = collection._catalog._writer
    collection.append([make("b", 2)])
    assert collection._catalog._writer is writer
    with pytest.raises(ZeroDivisionError), collection._writer.transaction() as (connection, _):
        connection.execute("DELETE FROM images")
        raise ZeroDivisionError
    assert collection._catalog._writer is None
    assert collection.write([Put(make("c", 3))]).version == 3
    assert len(collection.sources()) == 3


def test_a_closed_collection_is_not_written(collection: Collection, make: Make) -> None:
    collection.append([make("a", 1)])
    collection.close()
    with pytest.raises(CollectionError, match="is closed"):
        collection.append([make("b", 2)])


def test_a_collection_in_the_place_of_another_is_not_written(
    collection: Collection, make: Make, tmp_path: Path
) -> None:
    collection.append([make("a", 1)])
    collection.path.rename(tmp_path / "moved.setwise")
    with Collection.create(collection.path, collection.settings, collection.encoder) as other:
        with pytest.raises(NotFound, match="dropped or moved"):
            collection.append([make("b", 2)])
        assert other.sources() == {}


@pytest.mark.parametrize("look", ["verify", "open again"])
def test_what_looks_at_a_catalog_leaves_the_locks_of_its_process(collection: Collection, make: Make, look: str) -> None:
    collection.append([make("a", seed=1), make("b", seed=2)])
    if look == "verify":
        assert collection.verify().ok
    else:
        Collection.open(collection.path).close()
    # Another process writes and ends: it must not take itself for the last one, and remove the log that we write to.
    subprocess.run([sys.executable, "-c", DELETE, str(collection.path), "a"], check=True)
    collection.append([make("c", seed=3)])
    subprocess.run([sys.executable, "-c", DELETE, str(collection.path), "b"], check=True)
    assert set(collection.sources()) == {"c"}
    assert collection.verify().problems == []


def test_a_reader_without_rights_keeps_no_pages_of_a_file_that_was_changed(collection: Collection, make: Make) -> None:
    collection.append([make("a")])
    collection.close()
    reader = Catalog(collection.path, writable=False)
    with pytest.raises(LockedError, match="ask again"), reader.reading() as before:
        assert read_number(before, "version") == 1
        with Collection.open(collection.path) as writer:
            for seed in range(20):
                writer.append([make(f"b{seed}", seed=seed)])
        with reader.reading() as after:
            assert read_number(after, "version") == 21
    with reader.reading() as first, reader.reading() as second:
        assert [read_number(each, "version") for each in (first, second)] == [21, 21]
    reader.close()


def test_an_empty_catalog_is_damage_in_a_collection(collection: Collection, folder: Path) -> None:
    collection.close()
    (folder / "catalog.sqlite").write_bytes(b"")
    with pytest.raises(CorruptError, match="does not begin like an SQLite file"):
        Collection.open(folder)
