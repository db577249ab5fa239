"""A server whose disk fills up: writes are refused with a reason, searches go on, what was acknowledged stays."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from conftest import Served
from driver import tokens_of
from workload import content

import setwise
from setwise_engine.collection import Collection

LARGEST = 40_000  # bytes that a file may have when "the disk is full"


def item(seed: int) -> setwise.Item:
    return setwise.Item(f"n-{seed}", setwise.FeatureSet(tokens_of(seed)), {"seed": seed, "text": "x" * 2000})


def test_a_full_disk_stops_writes_and_nothing_else(served: Served) -> None:
    acknowledged, refused = [], []
    with served.client() as client:
        for seed in range(3):
            assert client.upsert([item(seed)]).failed == 0
            acknowledged.append(f"n-{seed}")
        limits = resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (LARGEST, limits[1]))
        for seed in range(3, 40):
            try:
                report = client.upsert([item(seed)])
            except setwise.SetwiseError as error:
                refused.append(error)
            else:
                (refused if report.failed else acknowledged).append(report.errors[0] if report.failed else f"n-{seed}")
            [hit] = client.search(setwise.FeatureSet(tokens_of(1)), k=1)
            assert (hit.id, hit.score) == ("n-1", pytest.approx(1.0))
        assert len(refused) > 5
        assert all("disk" in str(error) or "read-only" in str(error) for error in refused), refused[:3]
        assert client.count() == len(acknowledged)
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, limits)
        assert client.count() == len(acknowledged)
    served.process.kill()
    check(served.path, acknowledged)


def check(path: Path, acknowledged: list[str]) -> None:
    """After a restart everything acknowledged is there, nothing else is, and writes go on."""
    with Collection.open(path) as collection:
        assert sorted(content(collection)) == sorted(acknowledged)
        assert collection.verify().problems == []
        collection.delete(acknowledged[:1])
        assert collection.verify().problems == []
