"""What `room` says that images take is what they take, and what it foretells comes true."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from setwise_engine.collection import Collection, ImageRecord, Room, Settings
from setwise_engine.encoder import Encoder
from setwise_engine.filters import Equals

Make = Callable[..., ImageRecord]


@pytest.fixture
def records(make: Make) -> Callable[[int, int], list[ImageRecord]]:
    """Images that are like each other, with ids and metadata such as people have."""

    def some(first: int, last: int) -> list[ImageRecord]:
        return [
            make(
                *(f"photos/2026/{number:08d}.jpg", number),
                metadata={"year": 2000 + number % 26, "camera": f"camera {number % 7}", "tags": ["sea", "sun"]},
                content_hash=f"{number:032x}",
                thumbnail=b"jpeg" * 50,
            )
            for number in range(first, last)
        ]

    return some


Records = Callable[[int, int], Sequence[ImageRecord]]


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of the files by folder."""
    found = {"catalog": (folder / "catalog.sqlite").stat().st_size}
    for name in ("segments", "index"):
        found[name] = sum(p.stat().st_size for p in (folder / name).iterdir() if p.suffix != ".json")
    return found


def on_disk(room: Room) -> dict[str, int]:
    """The same from what the room says."""
    segments = ("tokens", "gate", "coarse", "thumbnails", "other")
    named = {"catalog": room.disk["catalog"], "index": room.disk["index"]}
    return named | {"segments": sum(room.disk[kind] for kind in segments)}


def test_what_is_on_disk_is_counted_to_the_byte(collection: Collection, records: Records) -> None:
    collection.append(records(0, 300))
    collection.append(records(200, 400))
    collection.build_index()
    collection.close()  # SQLite moves its log into the file
    with Collection.open(collection.path) as opened:
        room, _ = opened.room()
        assert on_disk(room) == sizes(collection.path)
        assert sum(room.disk.values()) == opened.info().total_bytes
        assert room.mapped == {"index": room.disk["index"], "coarse": 0}


def test_what_is_foretold_comes_true(collection: Collection, records: Records) -> None:
    """From 1500 images to 6000."""
    collection.append(records(0, 1500))
    collection.build_index()
    collection.close()
    before = sizes(collection.path)
    with Collection.open(collection.path) as opened:
        _, foretold = opened.room(4500)
        opened.append(records(1500, 6000))
        opened.build_index()
    assert foretold is not None
    after = sizes(collection.path)
    for kind, size in on_disk(foretold).items():
        grown = after[kind] - before[kind]
        assert 0.9 * grown < size < 1.15 * grown, kind


def test_few_images_foretell_no_nonsense(collection: Collection, records: Records) -> None:
    """Six images take a catalog of some pages, nearly all empty; their ids and metadata say more than the pages."""
    collection.append(records(0, 6))
    _, few = collection.room(1_000_000)
    collection.append(records(6, 1500))
    _, many = collection.room(1_000_000)
    assert few is not None
    assert many is not None
    for kind in ("tokens", "gate", "coarse", "thumbnails", "other", "index"):
        assert few.disk[kind] == pytest.approx(many.disk[kind], rel=0.01), kind
    assert few.disk["catalog"] == pytest.approx(many.disk["catalog"], rel=0.35)


@pytest.mark.parametrize("indexed", [True, False])
def test_what_is_in_memory_is_what_is_said(
    folder: Path, settings: Settings, tiny: Encoder, records: Records, indexed: bool
) -> None:
    with Collection.create(folder, settings, tiny) as made:
        for first in range(0, 4000, 500):
            made.append(records(first, first + 500))
        if indexed:
            made.build_index()
    with Collection.open(folder) as warm, warm.snapshot() as snapshot:  # what is loaded and made once
        snapshot.recall(np.ones(warm.coarse.dims, np.float32), 10)
    gc.collect()
    tracemalloc.start()
    try:
        with Collection.open(folder) as opened:
            with opened.snapshot() as snapshot:
                snapshot.recall(np.ones(opened.coarse.dims, np.float32), 10)
                snapshot.matching(Equals("year", 2003))
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
            room, _ = opened.room()
    finally:
        tracemalloc.stop()
    said = room.memory["images"] + room.memory["segments"] + room.mapped["coarse"]  # copied, of small segments
    assert 0.5 * said < held < 1.1 * said


def test_an_empty_collection_foretells_nothing(collection: Collection) -> None:
    room, foretold = collection.room()
    assert foretold is None
    assert room.disk["tokens"] == 0


def test_an_index_that_somebody_asked_for_is_measured(collection: Collection, records: Records) -> None:
    collection.append(records(0, 2000))
    collection.build_index(factory="SQfp16")
    room, foretold = collection.room(2000)
    assert foretold is not None
    assert foretold.disk["index"] == pytest.approx(room.disk["index"], rel=0.05)
