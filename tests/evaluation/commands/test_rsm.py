"""`setwise rsm`: what it writes for every kind of source, that it goes on when interrupted, and what it refuses."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from setwise._cli import main
from setwise_evaluation.rsm import Rsm, rsm

SETS = np.random.default_rng(1).standard_normal((6, 4, 3)).astype(np.float32)


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    np.save(tmp_path / "stack.npy", SETS)
    return tmp_path / "stack.npy"


def test_an_array_becomes_matrices_a_figure_a_table_and_a_report(
    stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["rsm", str(stack), "--out", str(out), "--kernel", "cosine", "--kernel", "rbf"]) == 0
    expected = rsm(SETS)
    np.testing.assert_allclose(np.load(out / "rsm" / "rsm-cosine.npy"), expected.read("cosine"), rtol=1e-9)
    np.testing.assert_allclose(np.load(out / "rsm" / "rsm-rbf.npy"), expected.read("rbf"), rtol=1e-9)
    names = {path.name for path in (out / "rsm").iterdir()}
    assert names >= {"rsm-cosine.png", "rsm-rbf.svg", "summary.csv", "summary.md", "results.json"}
    said = json.loads((out / "rsm" / "results.json").read_text())
    assert said["results"]["summary"][0]["pairs"] == 15
    assert said["results"]["summary"][1]["sigma"] == pytest.approx(expected.median_sigma())
    assert said["inputs"] == {"stack.npy": expected.row_fingerprint}
    assert said["command"].startswith("setwise rsm stack.npy --out out")
    settings = said["settings"]
    assert (settings["kernel"], settings["matching"], settings["tile"]) == (["cosine", "rbf"], "exact", None)
    assert "model" not in settings
    assert set(json.loads((out / "rsm" / "timings.json").read_text())) == {"images and network", "matching"}
    assert (out / "report.html").exists()
    assert capsys.readouterr().out.startswith("6 x 6 images:")


def test_another_kernel_needs_no_second_matching(stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["rsm", str(stack), "--out", str(tmp_path / "out")]) == 0
    before = (tmp_path / "out" / "rsm" / "rsm-cosine.npy").read_bytes()

    def never(*args: object, **options: object) -> None:
        raise AssertionError("it was matched again")

    monkeypatch.setattr("setwise_evaluation.rsm._work.matched_tile", never)
    assert main(["rsm", str(stack), "--out", str(tmp_path / "out"), "--kernel", "inner_product"]) == 0
    assert main(["rsm", str(stack), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "rsm" / "rsm-cosine.npy").read_bytes() == before


def test_images_against_other_images(photos: list[Path], tmp_path: Path) -> None:
    for name, some in (("rows/deep", photos[:2]), ("columns", photos[1:4])):
        (tmp_path / name).mkdir(parents=True)
        for path in some:
            shutil.copy(path, tmp_path / name)
    out, words = tmp_path / "out", [str(tmp_path / "rows"), "--against", str(tmp_path / "columns")]
    assert main(["rsm", *words, "--out", str(out), "--image-size", "64", "--device", "cpu"]) == 0
    ids = json.loads((out / "rsm" / "ids.json").read_text())
    assert ids["rows"] == [f"deep/{path.name}" for path in photos[:2]]
    matrix = np.load(out / "rsm" / "rsm-cosine.npy")
    assert matrix.shape == (2, 3)
    assert matrix[1, 0] == pytest.approx(1.0)
    assert Rsm.load(out / "rsm-store").column_ids == tuple(path.name for path in photos[1:4])
    said = json.loads((out / "rsm" / "results.json").read_text())
    assert (said["settings"]["model"], said["settings"]["image_size"]) == ("efficientnet-lite0", 64)
    assert said["results"]["network"]["fingerprint"].startswith("efficientnet-lite0@64:")


def test_broken_files_are_left_out_and_named(
    photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    (folder / "a.jpg").write_text("no picture")
    words = ["rsm", str(folder), "--out", str(out), "--device", "cpu", "--image-size", "64"]
    assert main(words) == 1
    assert "none of the 1 images in" in capsys.readouterr().err
    for path in photos[:2]:
        shutil.copy(path, folder)
    assert main(words) == 0
    assert "left out: " in capsys.readouterr().err
    said = json.loads((out / "rsm" / "results.json").read_text())
    assert said["results"]["left out"] == ["a.jpg"]
    assert said["results"]["shape"] == [2, 2]
    assert json.loads((out / "rsm" / "ids.json").read_text())["rows"] == [path.name for path in photos[:2]]


def test_matrices_of_several_names_stand_in_one_report(stack: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["rsm", str(stack), "--out", str(out)]) == 0
    assert main(["rsm", str(stack), "--out", str(out), "--matching", "none", "--name", "spatio-semantic"]) == 0
    assert (out / "spatio-semantic" / "rsm-cosine.npy").exists()
    page = (out / "report.html").read_text()
    assert "Representational similarity matrix: spatio-semantic" in page
    assert main(["rsm", str(stack), "--out", str(out), "--name", "../elsewhere"]) == 2


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    stack, out = tmp_path / "large.npy", tmp_path / "out"
    np.save(stack, np.random.default_rng(0).standard_normal((400, 49, 64)).astype(np.float32))
    # Where the tests run in the background, children inherit that Ctrl-C is ignored.
    heeding = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heeding}; from setwise._cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "rsm", str(stack)]
    command += ["--out", str(out), "--tile", "20", "--threads", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    done, deadline = out / "rsm-store" / "done", time.monotonic() + 60
    while not (done.exists() and any(done.read_bytes())) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert b"stopped; finished tiles are kept in" in said
    assert b"Traceback" not in said
    assert 0 < sum(done.read_bytes()) < 210
    assert not (out / "rsm").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing.npy"], "there is no"),
        (["empty"], "is no collection and holds no images"),
        (["stack.npy", "--sigma", "-1"], "sigma is -1.0; give a positive number"),
        (["stack.npy", "--window", "8"], "--window is of matching batch-optimal, not exact; leave it out"),
        (["stack.npy", "--matching", "batch-optimal", "--window", "0"], "window is 0; give at least 1"),
        (["stack.npy", "--against", "wide.npy"], "a has tokens of 3 numbers, b of 4"),
    ],
)
def test_what_cannot_be_is_one_line(
    stack: Path, tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    np.save(tmp_path / "wide.npy", np.ones((2, 2, 4)))
    paths = [str(tmp_path / word) if word == "empty" or word.endswith(".npy") else word for word in words]
    assert main(["rsm", *paths, "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("setwise rsm: error: ")


def test_a_folder_of_other_things_is_told_before_the_work(
    stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / "rsm").mkdir(parents=True)
    (tmp_path / "out" / "rsm" / "notes.txt").write_text("mine")
    assert main(["rsm", str(stack), "--out", str(tmp_path / "out")]) == 1
    assert "notes.txt" in capsys.readouterr().err
    assert not (tmp_path / "out" / "rsm-store").exists()


def test_a_store_of_other_images_is_told(stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rsm", str(stack), "--out", str(tmp_path / "out")]) == 0
    assert main(["rsm", str(stack), "--out", str(tmp_path / "out"), "--matching", "greedy"]) == 1
    said = capsys.readouterr().err
    assert "holds a matrix of matching exact, not greedy; give another folder" in said
    assert "--name keeps several matrices in one --out" in said
