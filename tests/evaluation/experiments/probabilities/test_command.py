"""`setwise evaluate probabilities`, whole: a folder of small pictures and a small network of random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from setwise_engine.errors import ImageError, InvalidInput, Unavailable
from setwise_evaluation.commands.evaluate import main

MODEL = "timm:test_resnet"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pictures of colours, and weights of timm's smallest network."""
    folder = tmp_path_factory.mktemp("given")
    rng = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for number in range(8):
        pixels = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 64)).save(folder / "pictures" / f"{number}.png")
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet", pretrained=False).state_dict(), folder / "weights.pth")
    return folder


def words(given: Path, out: Path, *more: str) -> list[str]:
    return [
        *["probabilities", "--out", str(out), "--images", str(given / "pictures"), "--resamples", "50"],
        *["--model", MODEL, "--weights", str(given / "weights.pth"), "--image-size", "96", "--threads", "1", *more],
    ]


@pytest.fixture(scope="module")
def out(given: Path) -> Path:
    """What one run has written."""
    assert main(words(given, given / "out")) == 0
    return given / "out"


def test_everything_is_written(out: Path) -> None:
    folder = out / "probabilities"
    names = {path.name for path in folder.iterdir()}
    assert {"correlations.csv", "correlations.md", "results.json", "timings.json"} < names
    for figure in ("pairs-timm-test_resnet", "correlations-timm-test_resnet"):
        assert {f"{figure}.png", f"{figure}.svg"} < names
    results = json.loads((folder / "results.json").read_text())
    found = results["results"][MODEL]
    assert found["grid"] == [3, 3]
    assert found["classes"] == 1000
    assert set(found["without an RBF"]) == {"maxsim", "chamfer"}, "tokens of random weights are much alike"
    assert len(found["correlations"]) == 2 * (5 * 3 - 2)
    assert set(found["correlations"]["pearson / semantic / cosine"]) == {"value", "low", "high"}
    assert len(found["semantic less"]) == 2 * (4 * 3 - 2)
    assert set(results["inputs"]) == {"images", f"weights of {MODEL}"}
    said_in_report = " ".join(part["text"] for part in results["report"] if part["kind"] == "text")
    assert "Pooling is favoured by construction" in said_in_report
    assert f"{MODEL}, semantic against spatio-semantic. cosine: Pearson" in said_in_report
    assert "MaxSim has no RBF" in said_in_report
    assert (out / "report.html").is_file()


def test_twice_the_same_is_twice_the_same_bytes_and_the_table_is_printed(
    given: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(given, tmp_path / "out")) == 0
    said = capsys.readouterr()
    assert "| timm:test_resnet | cosine | pooled |" in said.out
    assert said.err == "", "progress is for terminals"
    for path in (out / "probabilities").iterdir():
        if path.name != "timings.json":
            assert path.read_bytes() == (tmp_path / "out" / "probabilities" / path.name).read_bytes(), path.name


def test_what_cannot_be_done(given: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--weights is one network's; --model names 2"):
        main([*words(given, tmp_path), "--model", MODEL, "timm:test_vit"])
    with pytest.raises(InvalidInput, match="--crops cuts things out of composed scenes"):
        main(words(given, tmp_path, "--crops"))
    with pytest.raises(Unavailable, match="timm:test_resnet needs a file of weights"):
        main(["probabilities", "--out", str(tmp_path), "--images", str(given / "pictures"), "--model", MODEL])
    assert not (tmp_path / "probabilities").exists()


def test_a_damaged_image_is_named(given: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(3):
        (pictures / f"{number}.png").write_bytes((given / "pictures" / f"{number}.png").read_bytes())
    (pictures / "1.png").write_bytes(b"damaged")
    with pytest.raises(ImageError, match=r"1\.png is not a JPEG"):
        main([*words(given, tmp_path / "out"), "--images", str(pictures)])
