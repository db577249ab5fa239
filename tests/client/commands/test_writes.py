"""Images are added, listed, counted, found by filter, deleted and copied from a shell."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import setwise
from setwise._cli import main
from setwise.commands.add import parse_field

Out = pytest.CaptureFixture[str]


@pytest.fixture
def target(rooted: str) -> list[str]:
    """The collection of photos that may be written to, as arguments."""
    return [rooted, "--collection", "photos"]


def test_files_are_added_with_metadata_and_once_only(target: list[str], photos: list[Path], out: Out) -> None:
    words = ["add", *target, str(photos[0]), str(photos[1]), "--prefix", "new/", "--metadata", "year=2021"]
    words += ["--metadata", 'tags=["sea", "sky"]', "--metadata", "camera=front left"]
    assert main(words) == 0
    assert out.readouterr().out.startswith("2 inserted in ")
    assert main([*words, "--json"]) == 0
    report = json.loads(out.readouterr().out)
    assert (report["unchanged"], report["inserted"]) == (2, 0)
    assert main(["list", *target, "--where", "year == 2021 and tags contains 'sea'", "--json"]) == 0
    images = [json.loads(line) for line in out.readouterr().out.splitlines()]
    assert [image["id"] for image in images] == sorted(f"new/{photo.name}" for photo in photos[:2])
    assert images[0]["metadata"] == {"camera": "front left", "tags": ["sea", "sky"], "year": 2021}
    assert main(["delete", *target, "--where", "year exists"]) == 0
    assert out.readouterr().out.startswith("2 deleted; version ")


def test_a_bad_file_is_named_and_the_others_are_stored(
    target: list[str], photos: list[Path], tmp_path: Path, out: Out
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    (tmp_path / "good.jpg").write_bytes(photos[2].read_bytes())
    assert main(["add", *target, str(tmp_path), "--prefix", "bad/"]) == 1
    said = out.readouterr()
    assert said.out.startswith("1 inserted, 1 failed in ")
    assert said.err.startswith("setwise add: error: bad/bad.jpg: ") and said.err.count("\n") == 1
    assert main(["delete", *target, "bad/good.jpg", "bad/bad.jpg"]) == 1
    assert re.fullmatch(r"1 deleted; version \d+\nnot there: bad/bad.jpg\n", out.readouterr().out)


def test_images_are_listed_and_counted(target: list[str], out: Out) -> None:
    assert main(["list", *target]) == 0
    lines = out.readouterr().out.splitlines()
    assert lines[0].split("\t")[0] == "astronaut.jpg" and "\t{" in lines[0]
    assert main(["list", *target, "--count"]) == 0
    assert out.readouterr().out == f"{len(lines)}\n"
    assert main(["list", *target, "--count", "--where", "number < 4"]) == 0
    assert out.readouterr().out == "4\n"
    assert main(["list", *target, "--where", "number <"]) == 1
    assert "setwise list: error: where, character 9 (at the end): expected a value" in out.readouterr().err


def test_a_search_is_filtered_and_grouped(target: list[str], out: Out) -> None:
    words = ["search", *target, "--id", "cat.jpg", "--where", "number < 6", "--group-by", "even"]
    assert main([*words, "--exhaustive"]) == 0
    first, head, *rows = out.readouterr().out.splitlines()
    assert "exact over all 6 images that pass the filter (10 in all)" in first
    assert "group" in head.split() and len(rows) == 2
    assert main([*words, "--group-size", "2", "--json"]) == 0
    hits = json.loads(out.readouterr().out)["hits"]
    assert sorted(hit["group"] for hit in hits) == [False, False, True, True]


def test_a_snapshot_is_taken_of_both_kinds_of_target(
    target: list[str], sets_path: Path, tmp_path: Path, out: Out
) -> None:
    assert main(["snapshot", *target, str(tmp_path / "a.tar")]) == 0
    assert re.search(r"a.tar: 10 images, version \d+, [\d.]+ MB\nsha256 [0-9a-f]{64}\n", out.readouterr().out)
    assert main(["snapshot", str(sets_path), str(tmp_path / "b.tar")]) == 0
    assert main(["restore", str(tmp_path / "b.tar"), str(tmp_path / "b.setwise")]) == 0
    with setwise.connect(tmp_path / "b.setwise") as client:
        assert client.count() == 12


def test_what_is_wrong_with_arguments_is_told(out: Out) -> None:
    assert main(["add", "localhost:1", "x.jpg", "--metadata", "year"]) == 2
    assert "'year' is no field; give NAME=VALUE" in out.readouterr().err
    assert main(["add", "localhost:1", "x.jpg", "--metadata", "a={}"]) == 2
    assert main(["add", "localhost:1", __file__, "--metadata", "a=1", "--metadata", "a=2"]) == 1
    assert "--metadata a is given twice" in out.readouterr().err
    assert parse_field("a=NaN") == ("a", "NaN")
    assert main(["add", "localhost:1", "no such.jpg"]) == 1
    assert "no such file or folder: no such.jpg" in out.readouterr().err
    assert main(["delete", "localhost:1"]) == 1
    assert "give either ids or --where" in out.readouterr().err


@pytest.fixture
def out(capsys: Out) -> Out:
    """What was printed."""
    return capsys
