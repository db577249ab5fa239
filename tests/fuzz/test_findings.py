"""Inputs that once were neither accepted nor refused: each is now one of the two."""

from __future__ import annotations

import gzip
from contextlib import closing
from pathlib import Path

import pytest
from fuzz_all import TARGETS
from fuzz_target import Counts, tried

FINDINGS = sorted((Path(__file__).parent / "findings").iterdir())


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.name)
def test_what_was_found_is_mended(path: Path, tmp_path: Path) -> None:
    target = TARGETS[path.name.split("-", 1)[0]]
    with closing(target.prepare(tmp_path)) as ready:
        found = tried(ready, gzip.decompress(path.read_bytes()), Counts())
    assert found is None, found.place
