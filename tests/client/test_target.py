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


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("localhost:1", True),
        ("127.0.0.1:1", True),
        ("127.8.9.1:1", True),
        ("[::1]:1", True),
        ("dns:localhost:1", True),
        ("dns:///127.0.0.1:1", True),
        ("ipv4:127.0.0.1:1,127.0.0.2:1", True),
        ("ipv6:[::1]:1", True),
        ("unix:/tmp/socket", True),
        ("unix-abstract:socket", True),
        ("10.0.0.1:1", False),
        ("127.example.org:1", False),
        ("localhost.example.org:1", False),
        ("ipv4:127.0.0.1:1,10.0.0.1:1", False),
        ("dns://10.0.0.1/localhost:1", False),
        ("xds:///localhost:1", False),
        ("vsock:1:1", False),
    ],
)
def test_only_this_machine_is_its_own(address: str, own: bool) -> None:
    assert is_loopback(address) is own
