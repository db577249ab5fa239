"""Many readers and a writer at once: every snapshot is one version, whole."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from setwise_engine.collection import Collection, ImageRecord

Make = Callable[..., ImageRecord]


def test_readers_see_whole_versions_while_a_writer_works(collection: Collection, make: Make) -> None:
    """Each commit stores ten images of one generation and deletes the generation before."""
    vector = collection.coarse.pool(make("q").features.tokens)
    done = threading.Event()

    def read() -> int:
        seen = 0
        while not done.is_set():
            with collection.snapshot() as snapshot:
                keys = snapshot.page("", 100)
                images = snapshot.stored(keys)
                assert len(keys) == len(snapshot) in (0, 10)
                assert len({image.metadata["generation"] for image in images}) <= 1
                snapshot.prefetch(keys)
                found = [candidate.key for candidate in snapshot.recall(vector, 100)]
                assert sorted(found) == sorted(keys)
                assert all(np.isfinite(snapshot.tokens(key)).all() for key in keys)
                seen += 1
        return seen

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        try:
            for generation in range(25):
                collection.append(
                    [make(f"i{n}", n + generation, metadata={"generation": generation}) for n in range(10)]
                )
                if generation % 5 == 4:
                    collection.build_index()
        finally:
            done.set()
        assert all(reader.result() > 0 for reader in readers)
    assert collection.verify().ok


def test_threads_may_append_at_the_same_time(collection: Collection, make: Make) -> None:
    def append(worker: int) -> list[int]:
        return [collection.append([make(f"{worker}-{n}")]) for n in range(5)]

    with ThreadPoolExecutor(4) as pool:
        versions = [version for result in pool.map(append, range(4)) for version in result]
    assert sorted(versions) == list(range(1, 21))
    assert collection.info().images == 20


def test_one_snapshot_may_serve_several_threads(collection: Collection, make: Make) -> None:
    collection.append([make(f"i{n}", n) for n in range(50)])
    with collection.snapshot() as snapshot, ThreadPoolExecutor(4) as pool:
        keys = snapshot.page("", 100)
        names = list(pool.map(lambda key: snapshot.ids([key])[0], keys * 5))
    assert names == sorted(f"i{n}" for n in range(50)) * 5


def test_many_segments_do_not_use_up_the_open_files(collection: Collection, make: Make) -> None:
    for n in range(60):
        collection.append([make(f"i{n}", n, 1, 1)])
    vector = collection.coarse.pool(make("q").features.tokens)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Collection.open(collection.path) as opened:
        used = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 20, hard))
        try:
            with opened.snapshot() as snapshot:
                assert len(snapshot.recall(vector, 100)) == 60
                assert all(snapshot.tokens(key).shape == (1, 8) for key in snapshot.page("", 100))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_small_commits_make_few_products(collection: Collection, make: Make) -> None:
    """Neighbouring blocks are merged, so their number grows with the logarithm."""
    for n in range(40):
        collection.append([make(f"i{n}", n, 1, 1)])
        with collection.snapshot() as snapshot:
            assert len(snapshot.recall(np.zeros(36, np.float32), 100)) == n + 1
        assert len(collection._scan._blocks) <= 6
