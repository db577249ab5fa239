"""What `import setwise` gives."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from typing import get_type_hints

import pytest

import setwise

METHODS = sorted(name for name in vars(setwise.Client) if not name.startswith("_"))


def test_every_public_name_says_that_it_is_setwise() -> None:
    names = [name for name in setwise.__all__ if name != "__version__"]
    assert {getattr(setwise, name).__module__ for name in names} == {"setwise"}


def test_the_version_is_that_of_the_distribution() -> None:
    assert setwise.__version__ == version("setwise")


def test_the_client_imports_neither_networks_nor_engine() -> None:
    heavy = "{'torch', 'faiss', 'scipy', 'setwise_engine', 'setwise_server'}"
    code = f"import setwise, sys; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_both_clients_have_the_same_methods() -> None:
    assert sorted(name for name in vars(setwise.AsyncClient) if not name.startswith("_")) == METHODS


@pytest.mark.parametrize("name", [*METHODS, "__init__"])
def test_both_clients_have_the_same_signatures(name: str) -> None:
    blocking, awaited = getattr(setwise.Client, name), getattr(setwise.AsyncClient, name)
    parameters = [inspect.signature(method).parameters for method in (blocking, awaited)]
    assert list(parameters[0]) == list(parameters[1])
    for one, other in zip(*(each.values() for each in parameters), strict=True):
        assert (one.kind, one.default) == (other.kind, other.default)
        assert one.annotation == other.annotation or one.name == "transport"


@pytest.mark.parametrize("name", METHODS)
def test_both_clients_give_the_same_types(name: str) -> None:
    blocking = get_type_hints(getattr(setwise.Client, name))["return"]
    awaited = get_type_hints(getattr(setwise.AsyncClient, name))["return"]
    if name == "list":
        assert (blocking, awaited) == (Iterator[setwise.Image], AsyncIterator[setwise.Image])
    else:
        assert blocking == awaited
        assert inspect.iscoroutinefunction(getattr(setwise.AsyncClient, name))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(setwise.Client, name))
    assert inspect.getdoc(getattr(setwise.AsyncClient, name))
