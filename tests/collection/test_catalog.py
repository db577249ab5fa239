"""Connections to the catalog beside other processes, which is where SQLite's rules are easily broken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from setwise_engine.collection import Collection, ImageRecord
from setwise_engine.collection._catalog import Catalog, read_number
from setwise_engine.errors import CorruptError

Make = Callable[..., ImageRecord]

DELETE = """
import sys
from setwise_engine.collection import Collection
with Collection.open(sys.argv[1]) as collection:
    collection.delete([sys.argv[2]])
"""


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
    with reader.reading() as before:
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
