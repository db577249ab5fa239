"""Upkeep: collections are compacted, indexed and checked while they serve, by one server at a time."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from setwise_engine.collection import Collection, Compaction, ImageRecord
from setwise_engine.errors import DeadlineError, LockedError
from setwise_proto.v1 import collections_pb2 as pb
from setwise_proto.v1 import search_pb2
from setwise_proto.v1 import types_pb2 as types
from setwise_server import ServerSettings
from setwise_server._call import Call
from setwise_server._maintenance import Maintenance, _upkeep
from setwise_server._registry import Registry

MANY = 20


@pytest.fixture
def path(sets_path: Path, tmp_path: Path, make_set: Callable[[int], Any]) -> Path:
    """The sets, and MANY more in as many segments, and some of both deleted again."""
    path = Path(shutil.copytree(sets_path, tmp_path / "sets.setwise"))
    with Collection.open(path) as collection:
        for seed in range(100, 100 + MANY):
            collection.append([ImageRecord(id=f"set-{seed}", features=collection.encoder.encode_set(make_set(seed)))])
        collection.delete([f"set-{seed:02}" for seed in range(10)] + ["set-105"])
    return path


def soon(condition: Callable[[], bool], seconds: float = 8.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not condition():
        time.sleep(0.05)
    return condition()


def told(stubs: Any) -> pb.Collection:
    return stubs.collections.GetCollection(pb.GetCollectionRequest()).collection


def answer(stubs: Any) -> list[tuple[str, float]]:
    options = search_pb2.SearchOptions(k=50, exhaustive=True)
    found = stubs.search.Search(search_pb2.SearchRequest(query=types.Query(id="set-110"), options=options))
    return [(hit.id, hit.score) for hit in found.hits]


def test_many_small_segments_become_few_by_themselves_and_answers_stay(path: Path, serving) -> None:
    with serving([path], ServerSettings(port=0, maintenance=False)) as stubs:
        assert told(stubs).segments == MANY + 1
        before = answer(stubs)
    with serving([path], ServerSettings(port=0)) as stubs:
        assert soon(lambda: told(stubs).segments < MANY // 2)
        assert answer(stubs) == before


def test_a_call_compacts_everything_at_once(path: Path, serving) -> None:
    with serving([path], ServerSettings(port=0, maintenance=False)) as stubs:
        before = answer(stubs)
        done = stubs.collections.CompactCollection(pb.CompactCollectionRequest(everything=True))
        assert (done.segments_before, done.segments_after, done.dropped) == (MANY + 1, 1, 11)
        assert done.freed_bytes > 0
        assert done.written_bytes > 0
        assert (done.collection.segments, done.collection.dead_images) == (1, 0)
        assert answer(stubs) == before
        again = stubs.collections.CompactCollection(pb.CompactCollectionRequest(everything=True))
        assert (again.segments_before, again.segments_after, again.written_bytes) == (1, 1, 0)


def test_an_index_that_is_no_use_is_made_anew(path: Path, serving) -> None:
    (index,) = (path / "index").glob("*.faiss")
    index.write_bytes(b"damaged")
    with serving([path], ServerSettings(port=0)) as stubs:
        assert soon(lambda: told(stubs).indexed == 30 - 10 + MANY - 1)


def test_damage_is_found_before_anybody_asks_and_told_in_the_log(path: Path, serving, caplog) -> None:
    victim = max((path / "segments").iterdir(), key=lambda file: file.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    with serving([path], ServerSettings(port=0)):
        assert soon(lambda: any("is damaged" in each and victim.name in each for each in caplog.messages))


def test_a_server_that_takes_no_writes_compacts_nothing(path: Path, serving) -> None:
    with serving([path], ServerSettings(port=0, read_only=True)) as stubs:
        failure = stubs.failure(stubs.collections.CompactCollection, pb.CompactCollectionRequest(everything=True))
        assert failure.info.reason == "READ_ONLY"
        assert told(stubs).segments == MANY + 1
        assert not told(stubs).writable


class Slow:
    """Compaction that goes on until its check stops it; `calls` tells how often it was begun, and at what pace."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paces: list[float | None] = []
        self.began = threading.Event()
        real = Collection.compact

        def compact(collection: Collection, *, bytes_per_second: float | None = None, **options: Any) -> Compaction:
            self.paces.append(bytes_per_second)
            if bytes_per_second is None:
                return real(collection, **options)
            self.began.set()
            while True:
                options["check"]()
                time.sleep(0.01)

        monkeypatch.setattr(Collection, "compact", compact)


@pytest.fixture
def registry(path: Path) -> Iterator[Registry]:
    """A registry of the sets."""
    registry = Registry([path], ServerSettings())
    yield registry
    registry.close()


def test_the_background_gives_way_to_a_call_and_to_the_end(registry: Registry, monkeypatch) -> None:
    slow = Slow(monkeypatch)
    maintenance = Maintenance(registry)
    maintenance.start()
    assert slow.began.wait(5)
    done = maintenance.compact_now(registry.get("sets"), Call(5), everything=True)
    assert done.segments_after == 1
    assert slow.paces == [ServerSettings().maintenance_bytes, None]
    started = time.monotonic()
    maintenance.stop()
    assert time.monotonic() - started < 1


def test_one_server_at_a_time_looks_after_a_collection(path: Path) -> None:
    with _upkeep(path):
        with pytest.raises(LockedError), _upkeep(path):
            pass
        with pytest.raises(DeadlineError), _upkeep(path, Call(0.1)):
            pass
    with _upkeep(path):
        pass
