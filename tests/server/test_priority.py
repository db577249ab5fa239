"""Threads that compute stand behind the one that answers."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from setwise_server._priority import LOWEST, NICE, give_way


def _priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of single threads are Linux's")
def test_a_thread_gives_way_and_no_other_does() -> None:
    before = _priority()
    with ThreadPoolExecutor(1, initializer=give_way) as pool:
        assert pool.submit(_priority).result() == min(LOWEST, before + NICE)
    assert _priority() == before
