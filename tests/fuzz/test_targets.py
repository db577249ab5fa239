"""Every place where bytes of strangers come in meets some changed inputs; `scripts/fuzz` does the same for hours."""

from __future__ import annotations

import itertools
import random
from contextlib import closing
from pathlib import Path

import pytest
from fuzz_all import TARGETS
from fuzz_target import Counts, Ready, Target, mutations, tried


def cases(target: Target, ready: Ready, seed: int, count: int) -> Counts:
    """Runs the seeds and so many changed ones; fails at the first that is neither accepted nor refused."""
    counts = Counts()
    changed = itertools.islice(mutations(ready, random.Random(f"{target.name} {seed}"), target.most), count)
    for data in itertools.chain(ready.seeds, changed):
        found = tried(ready, data, counts)
        assert found is None, f"{data!r:.2000} gave {found.error!r} in {found.place}"
    return counts


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_strangers_bytes_are_accepted_or_refused(target: Target, tmp_path: Path) -> None:
    with closing(target.prepare(tmp_path)) as ready:
        counts = Counts()
        for seed in ready.seeds:
            tried(ready, seed, counts)
        assert counts.accepted, "no real input passes: the target would try nothing"
        counts = cases(target, ready, 0, target.short)
        assert counts.cases == len(ready.seeds) + target.short


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_many_strangers_bytes_are_accepted_or_refused(target: Target, tmp_path: Path) -> None:
    with closing(target.prepare(tmp_path)) as ready:
        cases(target, ready, 1, 6 * target.short)


def test_a_fault_is_told_from_a_refusal() -> None:
    """The judge itself: what nobody meant to raise is a finding, with the place where it was raised."""

    def run(data: bytes) -> None:
        if data:
            data.decode("ascii")

    counts = Counts()
    assert tried(Ready(run, [b""]), b"fine", counts) is None
    found = tried(Ready(run, [b""]), b"\xff", counts)
    assert found is not None
    assert isinstance(found.error, UnicodeDecodeError)
    assert "test_targets.py:run" in found.place
    assert (counts.accepted, counts.refused, counts.findings) == (1, 0, 1)
