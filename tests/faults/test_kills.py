"""kill -9 of a server, a compactor, a snapshot and an indexer at random moments, a model checker beside.

Hundreds: `scripts/faults kills --kills 500`.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from kills import Harness
from zygote import Zygote


@pytest.mark.slow
def test_two_dozen_kills_lose_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Zygote() as zygote:
        harness = Harness(tmp_path, zygote, random.Random(20261122))
        while harness.killed.total() < 24:
            harness.round()
            assert harness.ledger.lost == []
            assert harness.ledger.wrong == []
    assert harness.ledger.acknowledged > 100
    assert harness.ledger.searches > 50
    with capsys.disabled():
        print(f"\n{harness}")
