"""The kernel's check driver in C++: the same families as here, and clean under the slower tools."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from families import FAMILIES, SETS

ROOT = Path(__file__).resolve().parents[2]
DRIVER = ROOT / "engine" / "kernel" / "check"


def test_the_driver_has_the_families_of_these_tests() -> None:
    source = (DRIVER / "families.hpp").read_text(encoding="utf-8")
    sets, matrices = source.split("inline std::vector<Family> matrix_families()")
    assert set(re.findall(r'\{"(\w+)"', sets)) == set(SETS)
    assert set(re.findall(r'(?:drawn|add)\("(\w+)"', matrices)) == set(FAMILIES) - set(SETS)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
@pytest.mark.parametrize("tool", ["thread", "valgrind"])
def test_the_kernel_is_clean_under(tool: str) -> None:
    """AddressSanitizer and UBSan, the quicker ones, are a step of CI."""
    if tool == "valgrind" and shutil.which("valgrind") is None:
        pytest.skip("no valgrind")
    command = [ROOT / "scripts" / "sanitize", tool, "--seeds", "1", "--largest", "50"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
