"""A target is an address or a directory, and nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

import setwise
from setwise._target import is_loopback, resolve


@pytest.mark.parametrize("target", ["localhost:50051", "10.0.0.7:1", "[::1]:50051", "dns:///a.b:5", "unix:/tmp/socket"])
def test_addresses(target: str) -> None:
    assert resolve(target) == target


def test_directories(tmp_path: Path) -> None:
    assert resolve(tmp_path) == tmp_path
    assert resolve(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("photos.setwise", "neither a directory here nor an address"),
        ("localhost", "neither a directory here nor an address"),
        (Path("photos.setwise"), "setwise index FOLDER --into photos.setwise"),
        ("http://localhost:50051/", "as in 'localhost:50051'"),
        (__file__, "is a file"),
    ],
)
def test_anything_else_says_what_a_target_looks_like(target: str | Path, says: str) -> None:
    with pytest.raises(setwise.SetwiseError, match=says) as caught:
        setwise.connect(target)
    assert caught.value.field == "target"


def test_loopback() -> None:
    assert all(map(is_loopback, ["localhost:1", "127.0.0.1:1", "[::1]:1"]))
    assert not any(map(is_loopback, ["example.org:1", "10.0.0.1:1"]))
