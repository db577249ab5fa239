"""kill -9 twice, then once more the same command: the collection is the one that a single run makes.

Ten kills over more photos: benchmarks/kill_resume.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from setwise_engine.collection import Collection, verify_folder
from setwise_indexer import Summary

COMMAND = [sys.executable, "-c", "import sys; from setwise._cli import main; sys.exit(main())", "index"]


@pytest.fixture
def manifest(tmp_path: Path, photos: list[Path]) -> Path:
    """Thirty crops of real photos with metadata."""
    (tmp_path / "photos").mkdir()
    lines = []
    for number in range(30):
        with Image.open(photos[number % 10]) as picture:
            part = picture.convert("RGB").crop((10 * (number // 10), 0, 300, 250 + number))
        part.save(tmp_path / "photos" / f"{number}.jpg")
        lines.append(json.dumps({"path": f"photos/{number}.jpg", "number": number, "of": photos[number % 10].stem}))
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    return tmp_path / "list.jsonl"


def start(manifest: Path, into: Path) -> subprocess.Popen[bytes]:
    options = ["--manifest", str(manifest), "--into", str(into), "--device", "cpu", "--commit-seconds", "0.2"]
    return subprocess.Popen([*COMMAND, *options], stdout=subprocess.DEVNULL)


def kill_once_it_holds(process: subprocess.Popen[bytes], into: Path, segments: int) -> None:
    deadline = time.monotonic() + 60
    while len(list(into.glob("segments/*"))) < segments and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()


def test_killed_runs_end_in_the_collection_of_a_single_run(
    tmp_path: Path,
    manifest: Path,
    build: Callable[..., Summary],
    tokens_of: Callable[[Path], dict[str, NDArray[np.float16]]],
) -> None:
    single, killed = tmp_path / "single.setwise", tmp_path / "killed.setwise"
    kill_once_it_holds(start(manifest, killed), killed, 1)
    kill_once_it_holds(start(manifest, killed), killed, 3)
    assert start(manifest, killed).wait() == 0
    build(manifest=str(manifest), into=single)
    with Collection.open(single) as one, Collection.open(killed) as other:
        assert one.sources() == other.sources()
        assert one.encoder.fingerprint == other.encoder.fingerprint
        assert one.settings == other.settings
        assert other.info().dead_rows == 0
        assert other.info().indexed == 30
    expected, found = tokens_of(single), tokens_of(killed)
    for id, tokens in expected.items():
        unit = np.spacing(np.maximum(np.abs(tokens), np.abs(found[id])))
        assert (np.abs(tokens - found[id]) <= unit).all()
    assert verify_folder(killed).ok
