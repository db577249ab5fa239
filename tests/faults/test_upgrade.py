"""A crash anywhere in the first write to a collection of format version 1 leaves it as it was, or upgraded."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from recorder import Recorder
from replay import replay
from workload import Content, content

from setwise_engine.collection import Collection, SetMetadata

OLD = Path(__file__).parents[1] / "collection" / "fixtures" / "v1"


def test_the_upgrade_is_one_commit(tmp_path: Path) -> None:
    path = tmp_path / "recorded" / "old.setwise"
    shutil.copytree(OLD, path)
    recorder = Recorder(path.parent)
    states: dict[int, Content] = {}

    def done(version: int) -> None:
        states[version] = content(collection)
        recorder.done(version)

    with Collection.open(path, disk=recorder) as collection:
        base = recorder.start(path / "catalog.sqlite")
        ids = list(content(collection))
        done(collection.info().version)
        recorder.begin(collection.info().version + 100)
        done(collection.write([SetMetadata(ids[0], {"new": True})]).version)
        done(collection.delete(ids[-1:]))
        collection.compact(everything=True)
        done(collection.info().version)
    crashed = tmp_path / "crashed"
    count = replay(recorder.log, base, states, path=path.name, folder=crashed, rng=random.Random(1), chances=2)
    assert count.problems == []
    assert count.prefixes > 50
