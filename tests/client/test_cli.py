"""The command line: quick, aligned, and scriptable."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import setwise
from setwise._cli import main

Out = pytest.CaptureFixture[str]


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "setwise", *words], capture_output=True, text=True, check=False)


def test_help_lists_every_command_and_loads_none() -> None:
    code = "import sys; from setwise._cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    for name in ("demo", "index", "search", "compare", "serve", "add", "delete", "list", "info", "verify", "snapshot"):
        assert f"\n  {name} " in done.stdout


def test_version() -> None:
    assert command("--version").stdout == f"setwise {setwise.__version__}\n"


def test_wrong_usage_exits_with_2(capsys: Out) -> None:
    assert main([]) == 2
    assert "usage: setwise COMMAND" in capsys.readouterr().err
    assert main(["serch"]) == 2
    assert "did you mean 'search'?" in capsys.readouterr().err
    assert main(["search"]) == 2
    assert main(["search", "--help"]) == 0


def test_what_is_meant_for_an_unknown_option_is_not_repeated(capsys: Out) -> None:
    assert main(["search", "localhost", "photo.jpg", "--api-key=setwise_secret"]) == 2
    said = capsys.readouterr().err
    assert "no option --api-key; did you mean --api-key-file?" in said
    assert "secret" not in said


def test_a_table_is_printed(address: str, collage: Path, capsys: Out) -> None:
    assert main(["search", address, str(collage), "-k", "3", "--scores"]) == 0
    first, head, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{collage}: 3 hits (cosine, exact over all 10 images")
    assert head.split()[:4] == ["rank", "score", "cosine", "inner_product"]
    assert head.split()[-2:] == ["id", "metadata"]
    assert len({row.index("{") for row in rows}) == 1
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]
    assert {name for row in rows for name in ("cat.jpg", "coffee.jpg") if name in row} == {"cat.jpg", "coffee.jpg"}


def test_a_region_is_asked_for_and_proven(address: str, collage: Path, capsys: Out) -> None:
    words = [
        "search",
        address,
        str(collage),
        "-k",
        "2",
        "--region",
        "0,0,300,210",
        "--exhaustive",
        "--proof",
        "--scores",
    ]
    assert main(words) == 0
    first, head, row, _, proof = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{collage}: 2 hits (containment, exact over all 10 images")
    assert "containment" in head.split()
    assert "cat.jpg" in row
    assert proof.startswith("proof: exact over all 10 images; ")
    assert proof.endswith("the matchings of all 2 hits checked here")
    assert main([*words[:3], "--region", "0,0,300"]) == 2
    assert "'0,0,300' is no box" in capsys.readouterr().err
    assert main([*words[:3], "--region", "5000,0,6000,10"]) == 1
    assert "outside the picture" in capsys.readouterr().err


def test_json_is_one_line_a_query(address: str, collage: Path) -> None:
    done = command("search", address, str(collage), "missing.jpg", "-k", "2", "--json")
    answer, failed = map(json.loads, done.stdout.splitlines())
    assert (answer["query"], [*answer["hits"][0]][:3]) == (str(collage), ["id", "score", "metadata"])
    assert (failed["query"], failed["error"]["code"]) == ("missing.jpg", "NOT_FOUND")
    assert done.returncode == 1
    assert "setwise search: error: missing.jpg: no file" in done.stderr


def test_ids_and_directories(collection_path: Path, capsys: Out) -> None:
    assert main(["search", str(collection_path), "--id", "cat.jpg", "brick.jpg", "-k", "1"]) == 0
    out = capsys.readouterr().out
    assert "cat.jpg: 1 hit (" in out and "brick.jpg: 1 hit (" in out


def test_sheets_are_written_and_numbered(address: str, collage: Path, tmp_path: Path, capsys: Out) -> None:
    assert main(["search", address, str(collage), "--out", str(tmp_path / "one.png")]) == 0
    assert main(["search", address, str(collage), str(collage), "--out", str(tmp_path / "two.png")]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two-1.png", "two-2.png"]
    assert "wrote" in capsys.readouterr().err
    with Image.open(tmp_path / "one.png") as sheet:
        assert sheet.width > 1000


def test_a_comparison_is_printed_and_drawn(address: str, collage: Path, tmp_path: Path, capsys: Out) -> None:
    out = tmp_path / "matches.png"
    assert main(["compare", str(collage), str(collage), "--target", address, "--out", str(out)]) == 0
    assert ["cosine", "1.0000"] in [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    with Image.open(out) as drawn:
        assert drawn.width > 800


def test_parts_of_pictures_are_compared(address: str, collage: Path, photos: list[Path], capsys: Out) -> None:
    cat = next(photo for photo in photos if photo.stem == "cat")
    words = ["compare", str(collage), str(cat), "--target", address]
    assert main([*words, "--region-a", "0,0,300,210"]) == 0
    inside = next(line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("containment"))
    assert main([*words, "--region-a", "0,210,300,420"]) == 0
    outside = next(line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("containment"))
    assert float(inside[1]) > float(outside[1])


def test_pictures_are_compared_without_any_collection(collage: Path, photos: list[Path], capsys: Out) -> None:
    assert main(["compare", str(collage), str(photos[3]), "--json"]) == 0
    assert 0.3 < json.loads(capsys.readouterr().out)["scores"]["cosine"] < 0.9
    assert main(["compare", "a", "b", "--id"]) == 1
    assert "need a --target" in capsys.readouterr().err


def test_stored_images_are_compared_by_id(address: str, tmp_path: Path, capsys: Out) -> None:
    words = ["compare", "cat.jpg", "coffee.jpg", "--id", "--target", address, "--json"]
    assert main([*words, "--out", str(tmp_path / "matches.png")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["a"], answer["b"], len(answer["matches"]["cosines"])) == ("cat.jpg", "coffee.jpg", 100)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["search", "localhost:1", "x.jpg", "--timeout", "2"], "no server answers at localhost:1"),
        (["search", "no-such.setwise", "x.jpg"], "neither a directory here nor an address"),
        (["search", "ADDRESS", "x.jpg", "--kernel", "euclid"], "kernel is 'euclid'"),
        (["search", "ADDRESS", "x.jpg", "--collection", "no"], "x.jpg"),
        (["compare", "x.jpg", "y.jpg", "--target", "ADDRESS"], "no file 'x.jpg'"),
    ],
)
def test_errors_are_one_line_and_exit_with_1(words: list[str], says: str, address: str, capsys: Out) -> None:
    assert main([address if word == "ADDRESS" else word for word in words]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"setwise {words[0]}: error: ") and says in err and err.count("\n") == 1


def test_a_reader_who_has_seen_enough_is_no_error(address: str) -> None:
    words = [sys.executable, "-m", "setwise", "search", address, "--id", *["cat.jpg"] * 40, "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_ctrl_c_exits_with_130(monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(setwise, "connect", interrupt)
    assert main(["search", "localhost:1", "x.jpg"]) == 130
    assert capsys.readouterr().err == "setwise search: error: interrupted\n"
