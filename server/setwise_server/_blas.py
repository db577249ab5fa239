"""One thread for the products of numpy and FAISS while a search runs in somebody's program; then as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import LibController, ThreadpoolController

__all__ = ["one_blas_thread"]

_lock = threading.Lock()
_inside = 0
_libraries: list[LibController] = []
_before: list[int] = []


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """While any thread is inside, BLAS libraries compute on one thread.

    The products of a search are small; threads that share them spend their time waiting for each other. On two cores
    with other work a search by id took 225 ms with two of them and 27 ms with one. Costs some microseconds.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside  # noqa: PLW0603 - the setting is the process's, too
    with _lock:
        if not _libraries:  # to find them takes milliseconds
            _libraries.extend(ThreadpoolController().select(user_api="blas").lib_controllers)
        if not _inside:
            _before[:] = [library.num_threads for library in _libraries]
            _set([1] * len(_libraries))
        _inside += 1


def _leave() -> None:
    global _inside  # noqa: PLW0603
    with _lock:
        _inside -= 1
        if not _inside:
            _set(_before)


def _set(threads: list[int]) -> None:
    for library, count in zip(_libraries, threads, strict=True):
        library.set_num_threads(count)
