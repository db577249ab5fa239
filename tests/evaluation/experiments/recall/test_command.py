"""setwise evaluate recall: files and words, the same every time."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from setwise._cli import main
from setwise_engine.collection import Collection
from setwise_evaluation.experiments.recall import _command

Out = pytest.CaptureFixture[str]
ALL = ("--sample", "6", "-k", "5", "--resamples", "200")


def study(collection: Collection, out: Path, *words: str) -> int:
    return main(["evaluate", "recall", str(collection.path), "--out", str(out), *ALL, *words])


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "recall/results.json").read_text(encoding="utf-8"))["results"]
    return found


def test_it_writes_figure_tables_and_results_and_says_what_to_use(
    collection: Collection, tmp_path: Path, capsys: Out
) -> None:
    for name in ("a", "b"):
        assert study(collection, tmp_path / name, "--recall", "0.5") == 0
    said = capsys.readouterr()
    assert "Share of the exact top 5 among the first K, 70 images, 6 queries:" in said.out
    assert "For a recall of 0.5, as the collection is: " in said.out
    assert "    setwise search small.setwise IMAGE -k 5 --candidates " in said.out
    assert "Its certificate covers the whole collection for 100.0% of the queries" in said.out
    files = {path.name: path.read_bytes() for path in (tmp_path / "a/recall").iterdir()}
    assert set(files) == {
        *("recall.png", "recall.svg", "recall.csv", "recall.md", "settings.csv", "settings.md"),
        *("results.json", "timings.json"),
    }
    for name in set(files) - {"results.json", "timings.json"}:
        assert files[name] == (tmp_path / "b/recall" / name).read_bytes(), name
    assert results(tmp_path / "a") == results(tmp_path / "b")
    assert results(tmp_path / "a")["counts"] == [5, 10, 20, 30, 50]
    assert {curve["coarse"] for curve in results(tmp_path / "a")["curves"]} == {"sqrtcov16", "mean"}
    assert "exact top 5" in (tmp_path / "a/report.html").read_text(encoding="utf-8")


def test_another_collection_may_ask_and_itself_is_known_again(collection: Collection, writable: Collection) -> None:
    def asked(path: Path) -> list[str] | None:
        args = argparse.Namespace(queries=path, sample=4, seed=1, weights=None)
        with _command._Bars() as bars:
            queries = _command._queries(args, collection, bars)
        return None if queries is None else [query.name for query in queries]

    assert asked(collection.path) is None
    assert len(asked(writable.path) or ()) == 4


def test_a_long_run_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    monkeypatch.setattr(_command, "_SILENT_SECONDS", 0.0)
    with _command._Bars() as bars:
        bars("exact answers", 20, 100)
        bars("coarse vectors mean", 256, 100_000)
    assert capsys.readouterr().err == "exact answers: 20 of 100\ncoarse vectors mean: 256 of 100,000\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--queries", "/no/such/folder"], "there is no folder /no/such/folder"),
        (["--kernel", "containment"], "kernel is 'containment'; ask for one of cosine, inner_product, rbf"),
        (["--recall", "2"], "recall is 2; ask for a share above 0 and up to 1"),
        (["--coarse", "median"], "coarse vector 'median' does not exist"),
        (["--index-factory", "Nonsense"], "FAISS cannot make an index 'Nonsense'"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(
    collection: Collection, tmp_path: Path, capsys: Out, words: list[str], said: str
) -> None:
    assert study(collection, tmp_path, *words) == 1
    told = capsys.readouterr().err.splitlines()
    assert said in told[-1]
    assert sum("error" in line for line in told) == 1
    assert not (tmp_path / "recall").exists()


def test_help_loads_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys; from setwise._cli import main; main(['evaluate', 'recall', '--help']);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'scipy', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
