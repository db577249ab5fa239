"""A short run of the load test: the real command behind TLS, keys, metrics and traces, and many who ask and write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the load test reads /proc")
def test_everybody_is_answered_and_the_server_ends_well(tmp_path: Path) -> None:
    words = ("soak", "--work", str(tmp_path), "--images", "60", "--clients", "16", "--seconds", "6", "--windows", "2")
    door = ("--door", "tls,keys,metrics,traces", "--warm-up", "1", "--deadline", "60")
    command = [sys.executable, str(ROOT / "benchmarks" / "load.py"), *words, *door]

    # One thread for the network that makes the collection: a team of them stands still on busy cores.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)

    assert done.returncode == 0, done.stderr
    assert "16 clients" in done.stdout
    assert "errors: none" in done.stdout
    assert "the collector of traces got 0 messages" not in done.stdout
    log = (tmp_path / "load-server.log").read_text(encoding="utf-8")
    assert "ERROR" not in log
    assert "Traceback" not in log
