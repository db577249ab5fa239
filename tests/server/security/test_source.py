"""What the server's code, and all that it imports of ours, never does: read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import setwise_engine
import setwise_server

FOLDERS = [Path(str(package.__file__)).parent for package in (setwise_engine, setwise_server)]
FILES = sorted(path for folder in FOLDERS for path in folder.rglob("*.py"))

FORBIDDEN = {
    *("eval", "exec", "compile", "__import__"),
    *("os.system", "os.popen", "os.execv", "os.execvp", "os.spawnv", "os.posix_spawn"),
    *("pickle.load", "pickle.loads", "marshal.loads", "shelve.open", "yaml.load", "yaml.unsafe_load"),
    *("torch.hub.load", "torch.jit.load", "torch.package.PackageImporter", "joblib.load"),
    *(
        "urllib.request.urlopen",
        "urllib.request.urlretrieve",
        "requests.get",
        "httpx.get",
        "hub.load_state_dict_from_url",
    ),
}
NEVER_IMPORTED = {"subprocess", "urllib.request", "http.client", "requests", "httpx", "pickle", "marshal", "shelve"}
HARMLESS = {("pickle", "UnpicklingError")}  # to catch what torch raises


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def calls(path: Path) -> list[ast.Call]:
    return [node for node in nodes(path) if isinstance(node, ast.Call)]


def given(call: ast.Call, name: str) -> object:
    """The constant that is given for an argument."""
    values = [word.value for word in call.keywords if word.arg == name]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


def imported(path: Path) -> Iterator[tuple[str, str]]:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def test_nothing_is_run_fetched_or_unpickled() -> None:
    for path in FILES:
        named = {ast.unparse(call.func) for call in calls(path)}
        assert not named & FORBIDDEN, path
        assert not {what for what in imported(path) if what[0] in NEVER_IMPORTED} - HARMLESS, path


def test_weights_are_read_as_plain_tensors_and_arrays_as_plain_numbers() -> None:
    loads = [call for path in FILES for call in calls(path)]
    torch = [call for call in loads if ast.unparse(call.func) == "torch.load"]
    assert torch
    assert all(given(call, "weights_only") is True for call in torch)
    numpy = [call for call in loads if ast.unparse(call.func) in ("np.load", "numpy.load")]
    assert all(given(call, "allow_pickle") in (None, False) for call in numpy)


def test_sql_is_put_together_from_constants_only() -> None:
    """Of what stands in an f-string that SQLite is given: constants of the module, and lists of marks and columns."""
    allowed = {"marks", "columns", "name"}
    put_in = {
        ast.unparse(value.value)
        for path in FILES
        for call in calls(path)
        if isinstance(call.func, ast.Attribute) and call.func.attr.startswith("execute") and call.args
        for part in ast.walk(call.args[0])
        if isinstance(part, ast.JoinedStr)
        for value in part.values
        if isinstance(value, ast.FormattedValue)
    }
    assert {each for each in put_in if not each.lstrip("-_").split(" ")[0].isupper()} <= allowed
