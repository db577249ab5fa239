"""setwise evaluate: finds the experiment and loads no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from setwise._cli import main
from setwise_evaluation.commands import evaluate

Out = pytest.CaptureFixture[str]


def test_help_lists_every_experiment_and_loads_none() -> None:
    code = (
        "import sys; from setwise._cli import main; main(['evaluate', '--help']);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'matplotlib', 'scipy')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    lines = {line.split()[0]: line.split(maxsplit=1)[1:] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert tuple(lines) == evaluate.EXPERIMENTS
    assert all(lines.values())


@pytest.mark.parametrize("name", evaluate.EXPERIMENTS)
def test_every_experiment_has_help_and_asks_for_a_folder(name: str, capsys: Out) -> None:
    assert main(["evaluate", name, "--help"]) == 0
    assert f"usage: setwise evaluate {name}" in capsys.readouterr().out
    assert main(["evaluate", name]) == 2
    assert "--out" in capsys.readouterr().err


def test_a_slip_is_answered_with_what_was_meant(capsys: Out) -> None:
    assert main(["evaluate", "translatoin"]) == 2
    assert capsys.readouterr().err == (
        "setwise evaluate: error: no experiment 'translatoin'; did you mean 'translation'?\n"
    )
    assert main(["evaluate", "xyz"]) == 2
    assert "there are translation, retrieval" in capsys.readouterr().err
    assert main(["evaluate"]) == 2
    assert "usage: setwise evaluate EXPERIMENT" in capsys.readouterr().err


def test_an_error_is_one_line(tmp_path: Path, capsys: Out) -> None:
    assert main(["evaluate", "report", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"setwise evaluate: error: no experiment lies in {tmp_path}; run one with --out {tmp_path}\n"
    )
