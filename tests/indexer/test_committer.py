"""Commits come by time or bytes, in the background, and at the latest when the run ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from setwise_engine.collection import Collection, ImageRecord, Settings, Source
from setwise_engine.encoder import Encoder, fit_encoder
from setwise_engine.errors import LockedError
from setwise_engine.feature_set import FeatureSet
from setwise_indexer._committer import Committer


@pytest.fixture
def identity() -> Encoder:
    rng = np.random.default_rng(0)
    return fit_encoder([rng.standard_normal((8, 4)).astype(np.float32)], model="", dims=None)


@pytest.fixture
def collection(tmp_path: Path, identity: Encoder) -> Iterator[Collection]:
    settings = Settings("", 0, "", identity.dims, identity.fingerprint)
    with Collection.create(tmp_path / "c.setwise", settings, identity) as made:
        yield made


def record(identity: Encoder, id: str) -> ImageRecord:
    return ImageRecord(id, identity.encode_set(FeatureSet(np.ones((3, 4), np.float32))))


def test_a_commit_is_due_after_so_many_bytes(collection: Collection, identity: Encoder) -> None:
    with Committer(collection, seconds=1e9, max_bytes=100) as committer:
        for number in range(10):
            committer.add(record(identity, str(number)))  # 24 bytes each
    info = collection.info()
    assert (info.images, info.segments) == (10, 2)


def test_a_commit_is_due_after_so_many_seconds(collection: Collection, identity: Encoder) -> None:
    with Committer(collection, seconds=0.0) as committer:
        for number in range(3):
            committer.add(record(identity, str(number)))
    assert collection.info().segments == 3


def test_what_was_gathered_is_committed_when_the_run_is_interrupted(collection: Collection, identity: Encoder) -> None:
    def interrupted() -> None:
        with Committer(collection, seconds=1e9) as committer:
            committer.add(record(identity, "a"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert set(collection.sources()) == {"a"}


def test_updates_leave_features_alone(collection: Collection, identity: Encoder) -> None:
    collection.append([record(identity, "a")])
    with Committer(collection, seconds=1e9) as committer:
        committer.update("a", {"city": "Ulm"}, Source("/a.jpg", 1, 2))
    known = collection.sources()["a"]
    assert (known.metadata, known.source) == ({"city": "Ulm"}, Source("/a.jpg", 1, 2))
    assert collection.info().dead_rows == 0


def test_a_commit_that_fails_in_the_background_is_raised(collection: Collection, identity: Encoder) -> None:
    import fcntl

    with (collection.path / "writer.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        committer = Committer(collection, seconds=1e9)
        committer.add(record(identity, "a"))
        with pytest.raises(LockedError), committer:
            pass
