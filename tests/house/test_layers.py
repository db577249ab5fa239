"""Which package may import which: read from the source, so that no import hides in a function."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FOLDERS = {
    "setwise_proto": "proto",
    "setwise": "client",
    "setwise_engine": "engine",
    "setwise_indexer": "indexer",
    "setwise_server": "server",
    "setwise_evaluation": "evaluation",
}

# Of ours, what each package may import besides itself.
ARROWS: dict[str, set[str]] = {
    "setwise_proto": set(),
    "setwise": {"setwise_proto"},
    "setwise_engine": set(),
    "setwise_indexer": {"setwise_engine"},
    "setwise_server": {"setwise_engine", "setwise_proto"},
    "setwise_evaluation": {"setwise_engine"},
}

# Of others, what the two light packages may import: `pip install setwise` brings no more.
LIGHT = {
    "setwise_proto": {"google.protobuf", "grpc"},
    "setwise": {"PIL", "google.protobuf", "google.rpc", "grpc", "numpy"},
}

# What a module may import besides where the program has imported it already; it works without.
GUESTS = {"client/setwise/_tracing.py": {"opentelemetry"}}

MODULES = sorted(
    path
    for package, folder in FOLDERS.items()
    for path in (ROOT / folder / package).rglob("*.py")
    if "__pycache__" not in path.parts
)


def imports(path: Path) -> Iterator[str]:
    """Every absolute name that a module imports, wherever the statement or the importlib call stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=0) if module:
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.ImportFrom(level=level) if level:
                raise AssertionError(f"{path}:{node.lineno} imports relatively; write the package's name")
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
                yield name


def belongs(name: str, allowed: set[str]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in allowed)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path) -> None:
    package = path.relative_to(ROOT).parts[1]
    ours = {name for name in imports(path) if name.partition(".")[0] in FOLDERS}
    wrong = {name for name in ours if not belongs(name, ARROWS[package] | {package})}
    assert not wrong, f"{package} imports {sorted(wrong)}"


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.relative_to(ROOT).parts[1] in LIGHT],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_client_and_contract_stay_light(path: Path) -> None:
    package = path.relative_to(ROOT).parts[1]
    guests = GUESTS.get(path.relative_to(ROOT).as_posix(), set())
    allowed = LIGHT[package] | ARROWS[package] | {package} | guests
    wrong = {
        name
        for name in imports(path)
        if name.partition(".")[0] not in sys.stdlib_module_names and not belongs(name, allowed)
    }
    assert not wrong, f"{package} imports {sorted(wrong)}"


def test_the_arrows_name_every_package() -> None:
    folders = {path.parents[1].name for path in ROOT.glob("*/setwise*/__init__.py")}
    assert folders == set(FOLDERS.values())
    assert set(ARROWS) == set(FOLDERS)
