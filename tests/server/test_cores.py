"""How many cores there are for us, and how forward passes share them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from setwise_server import ServerSettings
from setwise_server._batcher import Lanes
from setwise_server._cores import cores
from setwise_server._networks import lanes

BOUND = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def test_without_a_limit_it_is_what_the_process_is_bound_to(tmp_path: Path) -> None:
    assert cores(tmp_path) == BOUND
    assert cores() >= 1


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", BOUND), ("50000 100000", 1), ("1 100000", 1), ("", BOUND)]
)
def test_a_container_is_given_a_share(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert cores(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", BOUND), ("100000", 1)])
def test_older_systems_say_it_in_two_files(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert cores(tmp_path) == expected


@pytest.mark.parametrize(
    ("available", "threads", "expected"),
    [(1, None, (1, 1)), (2, None, (2, 1)), (64, None, (16, 4)), (8, 2, (4, 2)), (2, 4, (1, 4)), (64, 1, (16, 1))],
)
def test_forward_passes_take_no_more_cores_than_there_are(available, threads, expected) -> None:
    found = lanes(ServerSettings(device="cpu", threads=threads), available)
    assert (found.count, found.threads) == expected


def test_passes_are_of_one_image_on_a_cpu_unless_asked_for_more() -> None:
    assert lanes(ServerSettings(device="cpu"), 2) == Lanes(2, 1, 1)
    assert lanes(ServerSettings(device="cpu", batch_images=4, batch_ms=2), 2) == Lanes(2, 1, 4, 0.002)


def test_a_gpu_has_one_pass_at_a_time_of_many_images() -> None:
    assert lanes(ServerSettings(device="cuda")) == Lanes(1, None, 32)
