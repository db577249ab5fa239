"""Which implementation computes, and what a machine that lacks one says."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from setwise_engine.errors import InvalidInput, Unavailable
from setwise_engine.matching import affinity, kernel_name
from setwise_engine.matching._paths import available, use

NATIVE = [name for name in available() if name not in ("reference", "numpy")]


def run(setting: str, *, built: bool = True) -> subprocess.CompletedProcess[str]:
    """Asks a fresh process twice which kernel it uses; `built=False` hides the native one, as if it was not built."""
    hide = "" if built else "sys.modules['setwise_engine.matching._kernel'] = None"
    ask = "from setwise_engine.matching import kernel_name\nprint(kernel_name(), kernel_name())"
    command = [sys.executable, "-c", f"import sys\n{hide}\n{ask}"]
    environment = os.environ | {"SETWISE_KERNEL": setting}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", available())
def test_a_variable_chooses_the_path(name: str) -> None:
    assert run(name).stdout == f"{name} {name}\n"


def test_the_best_path_is_chosen_without_being_asked() -> None:
    best = available()[-1]
    assert run("auto").stdout == f"{best} {best}\n"
    if NATIVE:
        assert run("native").stdout == f"{best} {best}\n"


def test_an_unknown_path_is_refused_naming_all() -> None:
    assert "SETWISE_KERNEL is 'fast'; set it to auto, native, baseline, avx2, avx512, vnni, numpy" in run("fast").stderr


def test_a_machine_without_the_native_kernel_says_so_once_and_goes_on() -> None:
    answer = run("auto", built=False)
    assert answer.stdout == "numpy numpy\n"
    assert answer.stderr.count("the native kernel was not built") == 1
    assert run("numpy", built=False).stderr == run("reference", built=False).stderr == ""


@pytest.mark.parametrize("name", ["native", "baseline", "vnni"])
def test_asking_for_a_kernel_that_was_not_built_is_an_error(name: str) -> None:
    answer = run(name, built=False)
    assert answer.returncode != 0
    assert "install a C++17 compiler and reinstall" in answer.stderr


@pytest.mark.skipif(not NATIVE, reason="without a kernel nothing has levels")
def test_a_level_that_the_machine_lacks_is_refused_naming_those_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = pytest.importorskip("setwise_engine.matching._kernel")
    monkeypatch.setattr(kernel, "levels", lambda: ["baseline"], raising=False)
    with pytest.raises(Unavailable, match="'avx512', but this machine's kernel offers baseline"), use("avx512"):
        pass


def test_a_test_takes_the_path_it_names_and_leaves_none_behind() -> None:
    before = kernel_name()
    tokens = np.eye(3, dtype=np.float16)
    for name in available():
        with use(name), use(name):
            assert kernel_name() == name
            assert (affinity(tokens, tokens) == np.eye(3)).all()
    with pytest.raises(InvalidInput), use("fast"):
        pass
    assert kernel_name() == before
