"""docs/analysis.md runs as it stands, and prints what it says it prints."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

DOC = Path(__file__).parents[2] / "docs" / "analysis.md"

# Sums of float32 are split differently by other processors and releases of torch, and neighbours may change places.
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")
TOLERANCE = 0.03


def pieces() -> list[tuple[str, str]]:
    """Each piece of code with what it prints."""
    found = re.findall(r"```(python|text)\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)
    following = [*found[1:], ("python", "")]
    return [
        (code, said if kind_of_next == "text" else "")
        for (kind, code), (kind_of_next, said) in zip(found, following, strict=True)
        if kind == "python"
    ]


def test_the_tutorial_runs_and_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code, said in pieces():
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code, names)
        assert NUMBER.sub("#", out.getvalue()) == NUMBER.sub("#", said)
        numbers = [[float(number) for number in NUMBER.findall(text)] for text in (out.getvalue(), said)]
        assert numbers[0] == pytest.approx(numbers[1], rel=TOLERANCE, abs=TOLERANCE)
    assert (tmp_path / "analysis.png").stat().st_size > 10_000
