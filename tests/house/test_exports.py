"""`__all__`: in every module that others import from, sorted, complete and true."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ["proto", "client", "engine", "indexer", "server", "evaluation"]


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    dotted(path): path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "_pb2" not in path.name and path.name != "__main__.py" and "__pycache__" not in path.parts
}


def declared(tree: ast.Module) -> list[str] | None:
    """The names in a module's `__all__`, or None where it has none."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return list(ast.literal_eval(value))
            case ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value):
                return list(ast.literal_eval(value))
    return None


def defined(tree: ast.Module) -> set[str]:
    """Public functions and classes that a module defines; constants and aliases are public where `__all__` says so."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")}


def reexported(tree: ast.Module, package: str) -> set[str]:
    """Names that a package's face takes from the package's modules and does not use itself."""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    taken = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(package)
        for alias in node.names
    }
    return {name for name in taken - used if not name.startswith("_")}


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, as ruff sorts."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize(("name", "path"), MODULES.items(), ids=MODULES)
def test_all_is_sorted_complete_and_true(name: str, path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = declared(tree)
    expected = defined(tree) | (reexported(tree, name) if path.name == "__init__.py" else set())
    if names is None:
        assert not expected, f"{name} has no __all__ but defines {sorted(expected)}"
        return
    assert names == sorted(set(names), key=order), f"{name}.__all__ is not sorted or names something twice"
    assert expected <= set(names), f"{name}.__all__ lacks {sorted(expected - set(names))}"
    module = importlib.import_module(name)
    missing = [public for public in names if not hasattr(module, public)]
    assert not missing, f"{name}.__all__ names {missing}, which it does not have"
