"""What the server's code, and all that it imports of ours, never does: read from the source."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import setwise_engine
import setwise_server

FOLDERS = [Path(str(package.__file__)).parent for package in (setwise_engine, setwise_server)]
SOURCES = {path: path.read_text(encoding="utf-8") for folder in FOLDERS for path in sorted(folder.rglob("*.py"))}

FORBIDDEN = [
    r"(?<![.\w])(eval|exec|compile|__import__)\(",
    r"\bos\.(system|popen|exec\w+|spawn\w+|posix_spawn\w*)\(",
    r"\b(pickle|marshal|shelve|joblib|dill)\.\w+\(",
    r"\byaml\.(load|unsafe_load)\(",
    r"\btorch\.(hub|jit|package)\.",
    r"load_state_dict_from_url|urlopen|urlretrieve|shell=True|allow_pickle=True|weights_only=False",
    r"(?m)^\s*(import|from) (subprocess|urllib\.request|http\.client|requests|httpx|marshal|shelve|joblib|dill)\b",
    r"(?m)^\s*import pickle\b|^\s*from pickle import (?!UnpicklingError$)",  # that one is caught, when torch refuses
]


def calls(*names: str) -> list[ast.Call]:
    """The calls of functions or methods of these names."""
    texts = [text for text in SOURCES.values() if any(f".{name}" in text for name in names)]
    nodes = [node for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return [node for node in nodes if isinstance(node.func, ast.Attribute) and node.func.attr in names]


def given(call: ast.Call, name: str) -> object:
    """The constant that is given for an argument."""
    values = [word.value for word in call.keywords if word.arg == name]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_nothing_is_run_fetched_or_unpickled(pattern: str) -> None:
    found = {path.name: match.group() for path, text in SOURCES.items() if (match := re.search(pattern, text))}
    assert found == {}


def test_weights_are_read_as_plain_tensors() -> None:
    torch = [call for call in calls("load") if ast.unparse(call.func) == "torch.load"]
    assert torch
    assert all(given(call, "weights_only") is True for call in torch)


def test_sql_is_put_together_from_constants_only() -> None:
    """Of what stands in an f-string that SQLite is given: constants of the module, and lists of marks and columns."""
    allowed = {"marks", "columns", "name"}
    put_in = {
        ast.unparse(value.value)
        for call in calls("execute", "executemany", "executescript")
        for part in ast.walk(call.args[0])
        if isinstance(part, ast.JoinedStr)
        for value in part.values
        if isinstance(value, ast.FormattedValue)
    }
    assert {each for each in put_in if not each.lstrip("-_").split(" ")[0].isupper()} == allowed
