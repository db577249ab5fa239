"""What large requests took goes back to the system."""

from __future__ import annotations

import asyncio
import platform

import pytest

from setwise_server import _trim
from setwise_server._trim import LARGE, Trimmer


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_trim is glibc's")
def test_many_large_requests_have_one_trim_and_small_ones_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_trim, "PAUSE_S", 0.01)
    trims: list[int] = []

    async def ended(*sizes: int) -> int:
        trimmer, before = Trimmer(), len(trims)
        assert trimmer._trim is not None
        trimmer._trim = lambda pad: len(trims.append(pad) or trims)
        for size in sizes:
            trimmer.ended(size)
        await asyncio.sleep(0.2)
        return len(trims) - before

    assert asyncio.run(ended(LARGE, 2 * LARGE, LARGE)) == 1
    assert asyncio.run(ended(LARGE - 1, 0)) == 0


def test_the_system_has_it() -> None:
    trim = _trim._malloc_trim()
    assert trim is None or trim(0) in (0, 1)
