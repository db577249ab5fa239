"""Which implementation computes: the definition, numpy, or the native kernel at one of its instruction levels.

All give the same results to the bit. The environment variable SETWISE_KERNEL chooses, once for the process:

    auto        the native kernel at the best level of this machine; numpy, with one warning, where it was not built
    native      the same, but an error where it was not built
    baseline, avx2, avx512, vnni
                the native kernel at this level; an error where the machine lacks it
    numpy       numpy and scipy
    reference   the definition, `setwise_engine.matching.reference`; slow
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType

from setwise_engine.errors import InvalidInput, Unavailable

__all__ = ["Path", "available", "current", "kernel_name", "use"]

_VARIABLE = "SETWISE_KERNEL"
_LEVELS = ("baseline", "avx2", "avx512", "vnni")
_NAMES = ("auto", "native", *_LEVELS, "numpy", "reference")
_ADVICE = "install a C++17 compiler and reinstall setwise"


@dataclass(frozen=True, slots=True)
class Path:
    """One implementation.

    name: "reference", "numpy", or the level of the native kernel ("native" where it knows of no levels).
    kernel: the native module, None for the other two. options: keywords that its functions take to run at this level.
    """

    name: str
    kernel: ModuleType | None = None
    options: dict[str, str] = field(default_factory=dict)


def kernel_name() -> str:
    """Which implementation computes here: "reference", "numpy", or the native kernel's level, such as "avx2".

    Raises InvalidInput when SETWISE_KERNEL holds another value than those above, and Unavailable when it asks for
    what this machine lacks.
    """
    return current().name


def current() -> Path:
    """The path in use; raises as `kernel_name` does."""
    return _forced[-1] if _forced else _chosen()


def available() -> list[str]:
    """The names of every path that this machine can take, slowest first."""
    kernel = _native()
    return ["reference", "numpy", *([] if isinstance(kernel, ImportError) else _levels(kernel) or ["native"])]


@contextlib.contextmanager
def use(name: str) -> Iterator[Path]:
    """For tests: the whole process takes this path inside the `with` block, in every thread.

    name: a value of SETWISE_KERNEL. Raises as `kernel_name` does.
    """
    path = _path(name)
    _forced.append(path)
    try:
        yield path
    finally:
        _forced.remove(path)


_forced: list[Path] = []


@functools.cache
def _chosen() -> Path:
    return _path(os.environ.get(_VARIABLE) or "auto")


@functools.cache
def _native() -> ModuleType | ImportError:
    try:
        return importlib.import_module("setwise_engine.matching._kernel")
    except ImportError as error:
        return error


def _levels(kernel: ModuleType) -> list[str]:
    return list(kernel.levels()) if hasattr(kernel, "levels") else []


def _path(name: str) -> Path:
    if name not in _NAMES:
        raise InvalidInput(
            f"{_VARIABLE} is {name!r}; set it to {', '.join(_NAMES[:-1])} or {_NAMES[-1]}", field=_VARIABLE
        )
    if name in ("numpy", "reference"):
        return Path(name)
    kernel = _native()
    if isinstance(kernel, ImportError):
        return _without_kernel(name, kernel)
    levels = _levels(kernel)
    if name in ("auto", "native"):
        return Path(levels[-1], kernel, {"level": levels[-1]}) if levels else Path("native", kernel)
    if name not in levels:
        offered = ", ".join(levels) or "one level only, native"
        raise Unavailable(f"{_VARIABLE} is {name!r}, but this machine's kernel offers {offered}", field=_VARIABLE)
    return Path(name, kernel, {"level": name})


def _without_kernel(name: str, error: ImportError) -> Path:
    if name != "auto":
        raise Unavailable(f"the native kernel was not built ({error}); {_ADVICE}", field=_VARIABLE) from error
    logging.getLogger("setwise").warning(
        "the native kernel was not built: numpy computes the same results, more slowly; %s, or set %s=numpy",
        _ADVICE,
        _VARIABLE,
    )
    return Path("numpy")
