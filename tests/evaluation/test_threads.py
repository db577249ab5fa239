"""Cores that may be used, and numbers of threads that are put back."""

from __future__ import annotations

import os

import pytest

from setwise_evaluation._threads import cores, so_many


def test_a_number_of_threads_is_put_back_on_errors_too() -> None:
    held = [7]
    with pytest.raises(ValueError, match="stop"), so_many(2, lambda: held[-1], held.append):
        assert held == [7, 2]
        raise ValueError("stop")
    assert held == [7, 2, 7]


def test_cores_are_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3}, raising=False)
    assert cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1
