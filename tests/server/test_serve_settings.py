"""The real `setwise serve` from a file of settings, and what it tells OpenMP before anything loads it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from setwise._cli import main

START = "import sys; from setwise._cli import main; sys.exit(main())"


def test_a_server_starts_from_a_file_and_its_openmp_threads_sleep_when_they_wait(tmp_path: Path) -> None:
    file = tmp_path / "setwise.toml"
    file.write_text(
        'port = 0\nroot = "."\n[security]\nanonymous = "read"\n[observe]\nlog_format = "json"\nmetrics_port = 0'
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment["SETWISE_CONFIG"] = str(file)
    command = [sys.executable, "-c", START, "serve", "--host", "127.0.0.1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, env={**environment, "OMP_DISPLAY_ENV": "true"}) as process:
        assert process.stdout.readline().startswith("serving 0 collections")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    logged = [json.loads(line)["message"] for line in errors.splitlines() if line.startswith("{")]
    assert any(message.startswith("metrics on") for message in logged)
    told = [line.partition("=")[2].strip(" '") for line in errors.splitlines() if "OMP_WAIT_POLICY" in line]
    if not told:
        pytest.skip("the OpenMP of this machine does not tell its settings")
    assert set(told) == {"PASSIVE"}


def test_who_says_otherwise_is_heard(monkeypatch, capsys) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert main(["serve", "--print-config"]) == 0
    assert os.environ["OMP_WAIT_POLICY"] == "active"
    assert "port = " in capsys.readouterr().out
