"""What the README tells newcomers to run is what CI runs, and what CONTRIBUTING names exists."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def first_commands() -> list[str]:
    """The commands on the README's first screen: lines that begin with a prompt, less the remark behind them."""
    return re.findall(r"^\$ (.+?) *(?:#.*)?$", README, flags=re.MULTILINE)


def test_the_readme_has_the_two_commands() -> None:
    assert first_commands()[:2] == ['pip install ".[server]" && setwise demo', 'pip install ".[dev]" && pytest']


@pytest.mark.parametrize("command", first_commands()[:2])
def test_ci_runs_them_literally(command: str) -> None:
    assert f"bash -c '{command}'" in CI


@pytest.mark.parametrize("script", sorted({*re.findall(r"scripts/[a-z-]+", CONTRIBUTING + CI), ".ci/run"}))
def test_named_scripts_exist_and_can_be_run(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)


def test_contributing_names_every_script_of_every_day() -> None:
    for task in ("setup", "test", "lint", "protos", "bench"):
        assert f"`scripts/{task}" in CONTRIBUTING
