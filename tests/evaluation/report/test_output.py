"""Output: the same bytes each time, hashes that hold, and a folder that is replaced whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from setwise_engine.errors import AlreadyExists, InvalidInput, NotFound
from setwise_evaluation.report import Output, made_by, style
from setwise_evaluation.retrieval import Estimate


def write(folder: Path, *, value: float = 0.5, seconds: float = 1.0) -> None:
    with Output(folder, experiment="translation", title="Translation", settings={"count": 3}, seed=7) as output:
        output.text("Something was\n   found.")
        figure, axes = style.new_figure()
        axes[0, 0].plot([0.0, 1.0], [value, 0.7], **style.SIMILARITIES["semantic"].line)
        axes[0, 0].set_xlabel("overlap")
        output.figure("curve", figure, caption="A curve.")
        output.table("scores", header=["what", "how much"], rows=[["this", value]], caption="Scores.")
        output.result("score", np.float64(value))
        output.timing("all", seconds)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_is_there_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "translation")
    names = {"curve.png", "curve.svg", "scores.csv", "scores.md", "results.json", "timings.json"}
    assert set(contents(tmp_path)) == {"report.html", *(f"translation/{name}" for name in names)}


def test_a_second_run_gives_the_same_bytes_but_for_the_timings(tmp_path: Path) -> None:
    write(tmp_path / "a" / "translation", seconds=1.0)
    write(tmp_path / "b" / "translation", seconds=2.0)
    first, second = contents(tmp_path / "a"), contents(tmp_path / "b")
    different = {name for name in first | second if first.get(name) != second.get(name)}
    assert different == {"translation/timings.json"}


def test_results_hold_settings_versions_and_true_hashes(tmp_path: Path) -> None:
    write(tmp_path / "translation")
    says = json.loads((tmp_path / "translation" / "results.json").read_text(encoding="utf-8"))
    assert says["settings"] == {"count": 3}
    assert says["seed"] == 7
    assert says["results"] == {"score": 0.5}
    assert {"python", "kernel", "setwise", "numpy", "scipy", "torch", "torchvision", "timm"} <= set(says["versions"])
    assert set(says["files"]) == {"curve.png", "curve.svg", "scores.csv", "scores.md"}
    for name, digest in says["files"].items():
        assert hashlib.sha256((tmp_path / "translation" / name).read_bytes()).hexdigest() == digest


def test_inputs_are_known_by_name_and_hash(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "labels.jsonl").write_text("{}\n")
    with Output(tmp_path / "out" / "x", experiment="x", title="X", settings={"labels": tmp_path / "data"}) as output:
        output.input("labels.jsonl", tmp_path / "data" / "labels.jsonl")
        output.input("all", tmp_path / "data")
        output.input("weights", sha256="ab" * 32)
        with pytest.raises(NotFound, match=r"gone\.json is not there"):
            output.input("gone", tmp_path / "gone.json")
        with pytest.raises(InvalidInput, match="either the path or the SHA-256"):
            output.input("nothing")
    says = json.loads((tmp_path / "out" / "x" / "results.json").read_text(encoding="utf-8"))
    digest = hashlib.sha256(b"{}\n").hexdigest()
    assert says["inputs"]["labels.jsonl"] == digest
    assert says["inputs"]["all"] == hashlib.sha256(f"{digest}  labels.jsonl\n".encode()).hexdigest()
    assert says["inputs"]["weights"] == "ab" * 32
    assert str(tmp_path) not in json.dumps(says)
    assert says["settings"]["labels"] == "data"


def test_the_command_is_kept_without_the_machine(tmp_path: Path) -> None:
    with made_by(["setwise", "evaluate", "x", "--out", str(tmp_path), f"--images={tmp_path}/photos", "--count", "2"]):
        write(tmp_path / "x")
    says = json.loads((tmp_path / "x" / "results.json").read_text(encoding="utf-8"))
    assert says["command"] == f"setwise evaluate x --out {tmp_path.name} --images=photos --count 2"


def test_a_run_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    write(tmp_path / "translation")
    before = contents(tmp_path)
    with (
        pytest.raises(KeyboardInterrupt),
        Output(tmp_path / "translation", experiment="translation", title="T", settings={}) as output,
    ):
        output.table("other", header=["a"], rows=[[1]], caption="A.")
        raise KeyboardInterrupt
    assert contents(tmp_path) == before


def test_a_run_that_is_killed_leaves_the_old_one_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    write(tmp_path / "translation")
    before = contents(tmp_path)
    code = (
        "import sys; from setwise_evaluation.report import Output\n"
        "with Output(sys.argv[1], experiment='translation', title='T', settings={}) as output:\n"
        "    output.table('other', header=['a'], rows=[[1]], caption='A.')\n"
        "    print('now', flush=True); sys.stdin.read()\n"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "translation")]
    with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"now\n"
        with pytest.raises(AlreadyExists, match="another run is writing"):
            write(tmp_path / "translation")
        os.kill(child.pid, signal.SIGKILL)
    assert {name: data for name, data in contents(tmp_path).items() if ".unfinished" not in name} == before
    write(tmp_path / "translation", value=0.6)
    after = contents(tmp_path)
    assert set(after) == set(before)
    assert after["translation/results.json"] != before["translation/results.json"]


def test_a_kill_between_the_two_renames_is_put_right(tmp_path: Path) -> None:
    write(tmp_path / "translation")
    before = contents(tmp_path)
    (tmp_path / "translation").rename(tmp_path / ".translation.old")
    with (
        pytest.raises(ZeroDivisionError),
        Output(tmp_path / "translation", experiment="translation", title="T", settings={}),
    ):
        raise ZeroDivisionError
    assert contents(tmp_path) == before


def test_files_of_others_are_never_replaced(tmp_path: Path) -> None:
    write(tmp_path / "translation")
    (tmp_path / "translation" / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInput, match=r"holds notes\.txt, which no run wrote"):
        write(tmp_path / "translation")
    assert (tmp_path / "translation" / "notes.txt").read_text() == "mine"


def test_what_somebody_puts_there_during_a_run_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "x")
    with Output(tmp_path / "x", experiment="x", title="X", settings={}) as output:
        output.result("a", 1)
        (tmp_path / "x" / "notes.txt").write_text("mine")
    names = {path.name for path in (tmp_path / "x").iterdir()}
    assert names == {"notes.txt", "results.json", "timings.json"}


def test_names_are_plain_and_given_once(tmp_path: Path) -> None:
    with Output(tmp_path / "x", experiment="x", title="X", settings={}) as output:
        output.table("a", header=["a"], rows=[[1]], caption="A.")
        with pytest.raises(AlreadyExists, match=r"a\.csv is there already"):
            output.table("a", header=["a"], rows=[[1]], caption="A.")
        with pytest.raises(InvalidInput, match="is no name for a file"):
            output.table("../a", header=["a"], rows=[[1]], caption="A.")
        output.result("a", Estimate(0.5, 0.25, 0.75))
        with pytest.raises(AlreadyExists, match="the result 'a' is there already"):
            output.result("a", 2)
        with pytest.raises(TypeError, match="cannot hold a object"):
            output.result("b", object())


def test_nothing_global_changes(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    write(tmp_path / "translation")
    assert dict(mpl.rcParams) == before


def test_the_words_for_a_heat_map_name_its_colours_and_run_downwards(tmp_path: Path) -> None:
    figure, axes = style.new_figure()
    bar = figure.colorbar(axes[0, 0].imshow([[0.0, 1.0]]), ax=axes[0, 0])
    bar.set_label("similarity")
    axes[0, 0].set(xlabel="image", ylabel="crop")
    with Output(tmp_path / "x", experiment="x", title="X", settings={}) as output:
        output.figure("map", figure, caption="A map.")
    says = json.loads((tmp_path / "x" / "results.json").read_text(encoding="utf-8"))
    assert says["report"][0]["alt"] == "across: image; downwards: crop. colours: similarity."
