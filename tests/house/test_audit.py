"""`scripts/audit`: what was not looked up never passes for audited."""

from __future__ import annotations

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "audit"


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    loader = SourceFileLoader("audit", str(SCRIPT))
    spec = importlib.util.spec_from_loader("audit", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


CLEAN = {"name": "a", "version": "1", "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "not found"}
VULNERABLE = {
    "name": "c",
    "version": "2",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["3"]}],
}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([CLEAN], 0, "1 packages looked up, 0 not, 0 known vulnerabilities"),
        ([SKIPPED], 3, "NOT AUDITED: could not look up b"),
        ([CLEAN, SKIPPED], 3, "NOT AUDITED: could not look up b"),
        ([CLEAN, SKIPPED, VULNERABLE], 1, "c 2: PYSEC-1, CVE-1; mended in 3"),
    ],
)
def test_every_package_must_have_been_looked_up(audit, capsys, packages: list, code: int, said: str) -> None:
    assert audit.judge({"dependencies": packages}) == code
    captured = capsys.readouterr()
    assert said in captured.out + captured.err


def test_the_packages_are_those_of_this_environment(audit) -> None:
    names = {line.partition("==")[0].lower() for line in audit.installed()}
    assert {"numpy", "grpcio", "pytest"} <= names
    assert not {"setwise", "pip"} & names
    assert not any("+" in line for line in audit.installed())
