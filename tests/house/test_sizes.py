"""No file of ours grows beyond what a reader takes in."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ["proto", "client", "engine", "indexer", "server", "evaluation", "tests", "benchmarks", "scripts", "examples"]
MOST_LINES = 400

FILES = [
    path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".pyi", ".cpp", ".hpp", ".proto", ""} and path.is_file() and "_pb2" not in path.name
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
