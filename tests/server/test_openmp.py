"""`setwise serve` tells OpenMP how to wait before anything loads it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

START = "import sys; from setwise._cli import main; sys.exit(main())"


@pytest.mark.parametrize(("said", "heard"), [(None, "PASSIVE"), ("active", "ACTIVE")])
def test_openmp_threads_sleep_when_they_wait_unless_somebody_says_otherwise(tmp_path: Path, said, heard: str) -> None:
    environment = {**os.environ, "OMP_DISPLAY_ENV": "true"}
    environment.pop("OMP_WAIT_POLICY", None)
    if said:
        environment["OMP_WAIT_POLICY"] = said
    command = [sys.executable, "-c", START, "serve", "--root", str(tmp_path), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout.readline().startswith("serving 0 collections")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    told = [line.partition("=")[2].strip(" '") for line in errors.splitlines() if "OMP_WAIT_POLICY" in line]
    if not told:
        pytest.skip("the OpenMP of this machine does not tell its settings")
    assert set(told) == {heard}
