"""`setwise evaluate matchers`: what it writes, twice the same but for the times."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from setwise._cli import main
from setwise_evaluation.experiments.matchers import _times


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((300, 240)).save(folder / f"{seed}.png")
    return folder


def evaluate(photographs: Path, out: Path, *words: str) -> int:
    common = ["--images", str(photographs), "--sizes", "96", "64", "--threads", "1", "--out", str(out)]
    return main(["evaluate", "matchers", *common, *words])


def test_times_come_with_a_verdict_and_all_else_has_the_same_bytes_without_them(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_times, "_SECONDS", 0.0)
    timed, untimed = tmp_path / "timed", tmp_path / "untimed"
    assert evaluate(photographs, timed) == 0
    printed = capsys.readouterr().out
    assert "The matching alone: at 4 tokens" in printed
    assert "9 tokens: the cheapest approximation is" in printed
    assert "of the optimum lost" in (timed / "report.html").read_text()
    assert (timed / "matchers" / "times.svg").exists()
    assert (timed / "matchers" / "times.csv").read_text().startswith("tokens,matcher,affinity ms")

    assert evaluate(photographs, untimed, "--no-times") == 0
    assert "Nothing was timed" in capsys.readouterr().out
    names = sorted(path.name for path in (untimed / "matchers").iterdir())
    assert names == ["gaps.png", "gaps.svg", "quality.csv", "quality.md", "results.json", "timings.json"]
    for name in names[:4]:
        assert (untimed / "matchers" / name).read_bytes() == (timed / "matchers" / name).read_bytes()
    rows = json.loads((untimed / "matchers" / "results.json").read_text())["results"]["quality"]
    assert {row["tokens"] for row in rows} == {4, 9}


def test_one_image_is_too_few(photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(photographs, tmp_path / "out", "--count", "1") == 1
    assert "--count is 1; give at least 2 images" in capsys.readouterr().err
