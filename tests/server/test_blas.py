"""A search in somebody's program takes one thread of BLAS, and leaves it as it was."""

from __future__ import annotations

import numpy as np  # noqa: F401 - brings a BLAS
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from setwise_server._blas import one_blas_thread


def threads() -> set[int]:
    """Of the BLAS libraries of this process."""
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        yield


def test_inside_there_is_one_thread_and_afterwards_what_there_was() -> None:
    with one_blas_thread():
        assert threads() == {1}
    assert threads() == {2}


def test_the_last_one_to_leave_puts_them_back() -> None:
    with one_blas_thread():
        with one_blas_thread():
            pass
        assert threads() == {1}
    assert threads() == {2}


def test_they_are_put_back_after_a_fault_too() -> None:
    with pytest.raises(ValueError, match="a fault"), one_blas_thread():
        raise ValueError("a fault")
    assert threads() == {2}
