"""The order of fsync, rename and commit, as the kernel saw it (strace); and crashes between its system calls."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from crash import Kind, Operation
from prefixes import COLLECTION
from replay import replay
from traced import order_of_one_append, out_of_order, traced


@pytest.mark.usefixtures("strace")
def test_a_segment_has_arrived_before_the_catalog_commits(tmp_path: Path) -> None:
    operations, states = traced(tmp_path, 1, 3)
    assert list(out_of_order(operations)) == []
    kinds = [line.split(" ")[0] for line in order_of_one_append(operations)]
    assert kinds[:5] == ["create", "write", "fsync", "rename", "fsync_folder"]
    assert kinds[-1] == "acknowledged:"
    count = replay(
        operations, {}, states, path=COLLECTION, folder=tmp_path / "crashed", rng=random.Random(1), chances=1
    )
    assert count.problems == []
    assert count.prefixes > 50


def test_a_wrong_order_is_told() -> None:
    segment, log = "c/segments/1.safetensors", "c/catalog.sqlite-wal"
    wrong = [
        Operation(Kind.CREATE, f"{segment}.tmp", 1),
        Operation(Kind.WRITE, f"{segment}.tmp", 1, data=b"x"),
        Operation(Kind.RENAME, f"{segment}.tmp", to=segment),
        Operation(Kind.CREATE, log, 2),
        Operation(Kind.WRITE, log, 2, data=b"x"),
        Operation(Kind.DONE, offset=1),
    ]
    assert [problem.partition(": ")[2] or problem for problem in out_of_order(wrong)] == [
        "renamed before it was forced to disk",
        f"{segment} had not been forced to disk",
        f"version 1 was acknowledged before {log} was forced to disk",
    ]
