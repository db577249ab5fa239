"""What the packages import is what the distribution requires, extra by extra."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Which extras a package may count on. The client and the wire contract need none.
EXTRAS = {
    "proto/setwise_proto": [],
    "client/setwise": [],
    "engine/setwise_engine": ["server"],
    "indexer/setwise_indexer": ["server"],
    "server/setwise_server": ["server"],
    "evaluation/setwise_evaluation": ["server", "evaluation"],
}


# What a package imports only where the program has imported it already, and works without (docs/decisions/0112).
GUESTS = {"client/setwise": {"opentelemetry"}}


def required(extras: list[str]) -> set[str]:
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    return {normal(re.split(r"[\[<>=; ]", line, maxsplit=1)[0]) for line in lines}


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def third_party(package: str) -> Iterator[str]:
    """Top-level names imported anywhere in a package, other than the standard library's and our own."""
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            yield from (name for name in names if not name.startswith("setwise") and name.split(".")[0] not in STANDARD)


STANDARD = sys.stdlib_module_names
DISTRIBUTIONS = packages_distributions()


@pytest.mark.parametrize("package", EXTRAS)
def test_every_import_is_required(package: str) -> None:
    declared = required(EXTRAS[package])
    unmet = {
        name
        for name in third_party(package)
        if name.split(".")[0] not in GUESTS.get(package, set())
        and not declared & {normal(found) for found in DISTRIBUTIONS.get(name.split(".")[0], [])}
    }
    assert not unmet, f"{package} imports {sorted(unmet)}, which pyproject.toml does not require for it"


def test_every_requirement_of_users_has_a_lower_bound() -> None:
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *extras["server"], *extras["evaluation"]]
    assert [line for line in lines if ">=" not in line and not line.startswith("setwise[")] == []
