"""A real `setwise serve` on a folder of collections."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from driver import COLLECTION
from workload import created
from zygote import Process, Zygote

import setwise


@dataclass(frozen=True)
class Served:
    """A server of one collection of ready-made sets: its process, its address and the collection's folder."""

    process: Process
    address: str
    path: Path

    def client(self) -> setwise.Client:
        """A client that does not ask twice."""
        return setwise.connect(self.address, collection=COLLECTION, retries=0, timeout=60.0)


@pytest.fixture(scope="session")
def strace() -> None:
    """Skips where there is no strace or it may not trace."""
    if shutil.which("strace") is None or subprocess.run(["strace", "-o", "/dev/null", "true"], check=False).returncode:
        pytest.skip("strace is not installed, or may not trace here")


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """What starts servers."""
    with Zygote() as zygote:
        yield zygote


@pytest.fixture
def served(zygote: Zygote, tmp_path: Path) -> Iterator[Served]:
    """A server with an empty collection."""
    path = tmp_path / f"{COLLECTION}.setwise"
    created(path).close()
    process = zygote.start(["serve", str(path), "--port", "0", "--device", "cpu"], tmp_path / "server.txt")
    yield Served(process, process.line("serving ").split()[-1], path)
    process.kill()
