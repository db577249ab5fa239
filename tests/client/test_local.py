"""A directory is served in this process, or it is said why not."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

import setwise

WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


def python(code: str, *packages: str) -> subprocess.CompletedProcess[str]:
    """Run code where some packages cannot be imported."""
    program = WITHOUT.format(packages=set(packages) or "()") + code
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_without_the_server_extra_it_says_how_to_install_it(collection_path: Path) -> None:
    code = f"""
import setwise
try:
    setwise.connect({str(collection_path)!r})
except setwise.MissingExtraError as error:
    print(error)
"""
    done = python(code, "torch", "faiss")
    assert 'pip install "setwise[server]"' in done.stdout, done.stderr


def test_the_command_line_says_how_to_install_an_extra(collection_path: Path) -> None:
    code = "from setwise._cli import main; sys.exit(main(sys.argv[1:] or ['serve', 'x', '--port', '0']))"
    done = python(code, "torch", "faiss", "grpc_health")
    assert done.returncode == 1
    assert "setwise serve: error: this needs the package" in done.stderr
    assert 'pip install "setwise[server]"' in done.stderr


def test_help_needs_no_extra() -> None:
    code = "from setwise._cli import main; sys.exit(main(['--help']))"
    done = python(code, "torch", "faiss", "scipy", "safetensors", "tqdm", "grpc_health")
    assert done.returncode == 0, done.stderr
    assert "serve collections over gRPC" in done.stdout


def test_a_directory_that_is_no_collection_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(setwise.SetwiseError, match=tmp_path.name) as caught:
        setwise.connect(tmp_path)
    assert caught.value.field == "target"
    assert isinstance(caught.value, setwise.NotFoundError | setwise.FailedPreconditionError)


def test_a_damaged_catalog_is_an_error_of_the_clients_own(tmp_path: Path) -> None:
    folder = tmp_path / "bad.setwise"
    folder.mkdir()
    (folder / "catalog.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(setwise.SetwiseError, match=r"catalog\.sqlite"):
        setwise.connect(folder)


def test_an_upsert_in_this_process_can_be_broken_off(sets_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "sets.setwise"
    shutil.copytree(sets_path, path)

    def images() -> Iterator[setwise.Item]:
        features = setwise.FeatureSet(np.ones((6, 8), np.float16))
        for number in count():
            yield setwise.Item(f"new-{number:09}", features)

    def stop(progress: setwise.Progress) -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        async with setwise.AsyncClient(path) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.upsert(images()), 1.0)

    with setwise.connect(path) as client, pytest.raises(KeyboardInterrupt):
        client.upsert(images(), progress=stop)
    asyncio.run(main())
    with setwise.connect(path) as client:
        ids = [image.id for image in client.list(where="not number exists", page_size=1000)]
        assert ids == [f"new-{number:09}" for number in range(len(ids))] and ids, "whole, and in order"
