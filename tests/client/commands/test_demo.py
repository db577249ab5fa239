"""The README's first command, run as a newcomer runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image


@pytest.mark.slow
def test_the_demo_indexes_serves_asks_and_draws(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "setwise", "demo"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=True)
    assert "75 indexed" in done.stdout + done.stderr
    assert "semantic     20 of 20" in done.stdout
    for name in ("answer.png", "matches.png"):
        with Image.open(tmp_path / "setwise-demo" / name) as picture:
            assert picture.width > 600
