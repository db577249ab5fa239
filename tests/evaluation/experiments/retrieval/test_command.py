"""`setwise evaluate retrieval`, whole: folders, collections and composed scenes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from setwise_engine.errors import Incompatible, InvalidInput, NotFound
from setwise_evaluation.commands.evaluate import main
from setwise_evaluation.scenes import Cutout, Split, write_scenes
from setwise_indexer import Request, index

MODEL = ["--model", "timm:test_resnet", "--image-size", "96"]
QUICK = ["--threads", "1", "--resamples", "50", "--k", "1", "2", "5"]


def words(given: Path, out: Path, *more: str) -> list[str]:
    places = ["--database", str(given / "pictures"), "--labels", str(given / "labels.jsonl")]
    network = [*MODEL, "--weights", str(given / "weights.pth")]
    return ["retrieval", "--out", str(out), *places, *network, *QUICK, *more]


def results(out: Path) -> dict:  # type: ignore[type-arg]
    found: dict = json.loads((out / "retrieval" / "results.json").read_text())  # type: ignore[type-arg]
    return found


@pytest.fixture(scope="module")
def out(given: Path) -> Path:
    """One run over a folder, each image against all others."""
    assert main(words(given, given / "out")) == 0
    return given / "out"


def test_a_folder_against_itself(out: Path) -> None:
    slug = "pictures-timm-test-resnet"
    names = {path.name for path in (out / "retrieval").iterdir()}
    assert {f"{slug}-scores.csv", f"{slug}-scores.md", f"{slug}-ahead.csv", f"{slug}-per-query.csv"} < names
    assert {"retrieval-timm-test-resnet.png", "retrieval-timm-test-resnet.svg"} < names
    found = results(out)["results"][slug]
    assert (found["images"], found["queries"], found["leave one out"]) == (12, 12, True)
    assert found["estimates"]["semantic, cosine"]["F1@1"]["value"] > found["chance"]["F1@1"]


def test_every_query_has_its_line_and_never_finds_itself(out: Path) -> None:
    with (out / "retrieval" / "pictures-timm-test-resnet-per-query.csv").open() as file:
        rows = list(csv.DictReader(file))
    readings = {(row["similarity"], row["kernel"]) for row in rows}
    assert len(rows) == 12 * len(readings)
    assert all(row["query"] != row["first hit"] for row in rows)
    assert {row["F1@1"] for row in rows} <= {"0.0", "1.0"}


def test_the_same_run_writes_the_same_bytes(given: Path, out: Path, tmp_path: Path) -> None:
    assert main(words(given, tmp_path)) == 0
    before = {path.name: path.read_bytes() for path in (out / "retrieval").iterdir()}
    after = {path.name: path.read_bytes() for path in (tmp_path / "retrieval").iterdir()}
    differ = {name for name in before if before[name] != after.get(name)}
    assert differ <= {"timings.json", "results.json"}  # the command line differs: another folder
    assert results(tmp_path)["results"] == results(out)["results"]


def test_queries_of_another_folder_and_labels_that_lack_some(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (given / "labels.jsonl").read_text().splitlines()
    (tmp_path / "some.jsonl").write_text("\n".join(lines[1:]))
    (tmp_path / "more").mkdir()
    for path in sorted((given / "more").iterdir()):
        (tmp_path / "more" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "more" / "12.png").write_bytes(b"no picture")
    more = ["--queries", str(tmp_path / "more"), "--labels", str(tmp_path / "some.jsonl"), "--counted"]
    assert main(words(given, tmp_path / "out", *more)) == 0
    found = results(tmp_path / "out")
    (case,) = (value for name, value in found["results"].items() if name.startswith("pictures"))
    assert (case["images"], case["queries"], case["leave one out"]) == (11, 5, False)
    assert "told apart" in case["estimates"]["semantic, cosine"]
    said = " ".join(part["text"] for part in found["report"] if part["kind"] == "text")
    assert "1 of 12 images have no labels and are left out. 1 files could not be read and are left out." in said
    assert f"left out: {tmp_path / 'more' / '12.png'}" in capsys.readouterr().err


def test_a_collection_with_queries_from_a_folder(given: Path, tmp_path: Path) -> None:
    settings = {"model": "timm:test_resnet", "image_size": 96, "weights": str(given / "weights.pth"), "dims": "none"}
    index(Request(sources=(str(given / "pictures"),), into=tmp_path / "c.setwise", **settings))  # type: ignore[arg-type]
    database = ["--database", str(tmp_path / "c.setwise"), "--query-count", "5"]
    assert main(words(given, tmp_path, *database, "--queries", str(given / "more"))) == 0
    asked = results(tmp_path)["results"]["c-setwise-encoded-tokens"]
    assert (asked["images"], asked["queries"], asked["leave one out"]) == (12, 5, False)
    with pytest.raises(Incompatible, match="was not made with the encoder of the database"):
        main(words(given, tmp_path, "--queries", str(tmp_path / "c.setwise")))


@pytest.mark.slow
def test_a_collection_with_its_own_images_and_with_those_of_another(given: Path, tmp_path: Path) -> None:
    settings = {"model": "timm:test_resnet", "image_size": 96, "weights": str(given / "weights.pth"), "dims": "none"}
    index(Request(sources=(str(given / "pictures"),), into=tmp_path / "c.setwise", **settings))  # type: ignore[arg-type]
    own = ["--database", str(tmp_path / "c.setwise"), "--query-count", "5"]
    for more, left_out in (([], True), (["--queries", str(tmp_path / "c.setwise")], False)):
        assert main(words(given, tmp_path, *own, *more)) == 0
        found = results(tmp_path)["results"]["c-setwise-encoded-tokens"]
        assert (found["images"], found["queries"], found["leave one out"]) == (12, 5, left_out)
    assert found["estimates"]["semantic, cosine"]["F1@1"]["value"] == 1  # an image finds itself


def test_composed_scenes_by_protocol(given: Path, tmp_path: Path) -> None:
    cutouts, views = _pictures(tmp_path)
    for split, count, seed in ((Split.COUNTING_DATABASE, 6, 101), (Split.COUNTING_QUERY, 3, 202)):
        folder = tmp_path / "work" / f"{split}-{count}-seed{seed}"  # found there, so that nothing is composed anew
        write_scenes(folder, split, count, seed, cutouts=cutouts, backgrounds=views)
    how = ["--weights", str(given / "weights.pth"), *MODEL, *QUICK, "--work", str(tmp_path / "work")]
    line = ["retrieval", "--out", str(tmp_path), "--protocol", "counting", "--count", "6", "--query-count", "3", *how]
    assert main(line) == 0
    found = results(tmp_path)["results"]["counting-timm-test-resnet"]
    assert (found["images"], found["queries"], found["numbers of labels matter"]) == (6, 3, True)
    assert found["chance"]["told apart"] == pytest.approx(1 / 3)
    assert len(list((tmp_path / "work").glob("counting-*.npy"))) == 2
    assert len(list((tmp_path / "work" / "sums").glob("counting-6-3-seed1-*/maxsim-*.npy"))) == 1


def _pictures(folder: Path) -> tuple[list[Cutout], list[Path]]:
    cutouts, views = [], []
    for number in range(8):
        path = folder / f"cut{number}.png"
        Image.effect_noise((60, 50), 90).convert("RGBA").save(path)
        cutouts.append(Cutout(f"{'ab'[number % 2]}/{number}", "ab"[number % 2], path))
    for number in range(4):
        views.append(folder / f"view{number}.png")
        Image.effect_noise((160, 100), 90).convert("RGB").save(views[-1])
    return cutouts, views


def test_what_is_missing_is_named(given: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="labels are missing; name their file or folder with --labels"):
        main(
            [
                "retrieval",
                "--out",
                str(tmp_path),
                "--database",
                str(given / "pictures"),
                *MODEL,
                "--weights",
                str(given / "weights.pth"),
            ]
        )
    with pytest.raises(NotFound, match="neither a folder of images nor a collection"):
        main(words(given, tmp_path, "--database", str(tmp_path / "none")))
    (tmp_path / "other.csv").write_text("id,labels\nx.png,red\n")
    with pytest.raises(InvalidInput, match="no query or no image of pictures has a label; do names agree"):
        main(words(given, tmp_path, "--labels", str(tmp_path / "other.csv")))
