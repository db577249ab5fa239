"""A real `setwise serve` on a folder of collections."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

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

    def client(self, **options: Any) -> setwise.Client:
        """A client that does not ask twice."""
        return setwise.connect(self.address, **{"collection": COLLECTION, "retries": 0, "timeout": 60.0} | options)

    def memory(self) -> int:
        """Bytes of memory that it has used at most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])


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
def serve(zygote: Zygote, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """`serve("--max-queue", "8")`: a server with an empty collection."""
    processes: list[Process] = []

    def serve(*arguments: str) -> Served:
        path = tmp_path / f"{COLLECTION}.setwise"
        created(path).close()
        command = ["serve", str(path), "--port", "0", "--device", "cpu", *arguments]
        processes.append(process := zygote.start(command, tmp_path / "server.txt"))
        return Served(process, process.line("serving ").split()[-1], path)

    yield serve
    for process in processes:
        process.kill()


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    """A server with an empty collection."""
    return serve()


@pytest.fixture
def keys(tmp_path: Path) -> Callable[..., Path]:
    """`keys(shop="read")`: a file of keys; the key of a caller is its name."""

    def keys(**scopes: str) -> Path:
        entries = [
            f'[[key]]\nname = "{name}"\nsha256 = "{sha256(name.encode()).hexdigest()}"\nscope = "{scope}"\n'
            for name, scope in scopes.items()
        ]
        (tmp_path / "keys.toml").write_text("\n".join(entries))
        return tmp_path / "keys.toml"

    return keys
