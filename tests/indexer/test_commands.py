"""The commands as a user meets them: what they print, where, and their exit codes."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from setwise._cli import main
from setwise_engine.collection import Collection, write_snapshot

SCRIPT = "import sys; from setwise._cli import main; sys.exit(main())"


def test_index_prints_one_summary_and_nothing_else(sets: Path, into: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", str(sets), "--features", "--into", str(into)]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"{into}: 6 images; 6 indexed, 0 replaced, 0 unchanged")
    assert len(said.out.splitlines()) == 1
    assert said.err == ""


def test_on_a_terminal_a_bar_shows_speed_and_time_left(sets: Path, into: Path) -> None:
    shown, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (40, 120))
    command = [sys.executable, "-c", SCRIPT, "index", str(sets), "--features", "--into", str(into)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal) as process:
        process.communicate()
        os.close(terminal)
        said = os.read(shown, 1 << 16).decode()
    os.close(shown)
    assert "indexing: 100%" in said
    assert "6/6" in said
    assert "images/s" in said


def test_failures_count_with_strict_only(sets: Path, into: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sets / "bad.npy").write_bytes(b"")
    command = ["index", str(sets), "--features", "--into", str(into)]
    assert main(command) == 0
    assert main([*command, "--strict"]) == 3
    assert f"failed: {sets}/bad.npy: no readable" in capsys.readouterr().out


def test_only_the_first_failures_are_printed(sets: Path, into: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(25):
        (sets / f"bad{number}.npy").write_bytes(b"")
    report = into.with_name("report.jsonl")
    main(["index", str(sets), "--features", "--into", str(into), "--report", str(report)])
    assert capsys.readouterr().out.splitlines()[-1] == "... and 5 more failed; --report FILE names them all"
    assert len(report.read_text().splitlines()) == 25


def test_errors_are_one_sentence(sets: Path, into: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", str(sets / "nowhere"), "--into", str(into)]) == 1
    said = capsys.readouterr().err
    assert said == f"setwise index: error: no such file or folder: {sets}/nowhere; check the path\n"
    assert main(["index", str(sets), "--features", "--into", str(into), "--report", str(sets / "no/where")]) == 1
    assert "no/where" in capsys.readouterr().err
    assert main(["index", str(sets)]) == 2
    assert main(["index", str(sets), "--into", str(into), "--dims", "many"]) == 2


def test_info_tells_what_is_there(sets: Path, into: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["index", str(sets), "--features", "--into", str(into)])
    capsys.readouterr()
    assert main(["info", str(into)]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if not line.startswith(" "))
    assert rows["images"] == "6"
    assert rows["tokens"] == "39, 6 an image, 8 numbers each"
    assert rows["model"] == "ready-made feature sets"
    assert main(["info", str(into), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["tokens"], found["settings"]["dims"]) == (6, 39, 8)
    assert found["total_bytes"] == sum(found["bytes"].values())


def test_info_tells_what_images_take_and_what_more_will(
    sets: Path, into: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["index", str(sets), "--features", "--into", str(into)])
    capsys.readouterr()
    assert main(["info", str(into)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^  tokens +624 B, 104 B an image$", said, re.MULTILINE)
    assert re.search(r"^in memory +.* an image$", said, re.MULTILINE)
    assert re.search(r"^  caches +at most .* MiB besides$", said, re.MULTILINE)
    assert re.search(r"^next 1,000,000 +.* on disk, .* in memory, .* read by each search", said, re.MULTILINE)
    assert main(["info", str(into), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["room"]["disk"] == found["bytes"]
    assert found["next_million"]["disk"]["tokens"] == 104_000_000


def test_restore_makes_a_collection_from_a_snapshot(
    sets: Path, into: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["index", str(sets), "--features", "--into", str(into)])
    with Collection.open(into) as collection, (tmp_path / "OUT.tar").open("wb") as stream:
        info = write_snapshot(collection, stream)
    capsys.readouterr()
    back = tmp_path / "back.setwise"
    assert main(["restore", str(tmp_path / "OUT.tar"), str(back)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{back}: 6 images, version {info.version}, from ")
    assert said.endswith(f"\nsha256 {info.sha256}\n")
    assert main(["verify", str(back)]) == 0
    assert main(["restore", str(tmp_path / "OUT.tar"), str(back)]) == 1
    assert "exists; choose another name" in capsys.readouterr().err
    with (tmp_path / "OUT.tar").open("rb") as stream:
        piped = [sys.executable, "-c", SCRIPT, "restore", "-", str(tmp_path / "piped.setwise")]
        subprocess.run(piped, stdin=stream, check=True, capture_output=True)
    assert main(["verify", str(tmp_path / "piped.setwise")]) == 0


def test_a_collection_without_a_gate_says_so_and_stays_so(
    sets: Path, into: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["index", str(sets), "--features", "--into", str(into)]
    assert main([*command, "--no-gate"]) == 0
    assert main([*command, "--no-gate"]) == 0
    assert main(command) == 0
    capsys.readouterr()
    assert main(["info", str(into), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["settings"]["gate"], found["bytes"]["gate"]) == (False, 0)


def test_a_gate_is_not_left_out_later(sets: Path, into: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["index", str(sets), "--features", "--into", str(into)]
    assert main(command) == 0
    assert main([*command, "--no-gate"]) == 1
    assert "was made with an int8 gate; leave --no-gate out" in capsys.readouterr().err
    assert main(["info", str(into)]) == 0
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines() if not line.startswith(" "))
    assert rows["int8 gate"].strip() == "yes"


def test_info_of_what_is_no_collection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tmp_path / "nowhere")]) == 1
    assert main(["info", str(tmp_path)]) == 1
    assert "not a collection" in capsys.readouterr().err


def test_verify_finds_a_single_changed_byte(sets: Path, into: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["index", str(sets), "--features", "--into", str(into)])
    assert main(["verify", str(into)]) == 0
    assert capsys.readouterr().out.endswith("checked: every byte is right\n")
    assert main(["verify", str(into), "--recompute"]) == 0
    assert capsys.readouterr().out.endswith("checked: every byte is right\n")
    (segment,) = (into / "segments").glob("*.safetensors")
    data = bytearray(segment.read_bytes())
    data[-100] ^= 1
    segment.write_bytes(data)
    assert main(["verify", str(into)]) == 1
    said = capsys.readouterr().out
    assert segment.name in said
    assert "see above" in said


def test_ctrl_c_keeps_what_was_finished(folder: Path, into: Path, photos: list[Path]) -> None:
    for number in range(100):
        (folder / f"{number}.jpg").write_bytes(photos[number % 10].read_bytes())
    # A shell starts what it runs in the background with Ctrl-C ignored, and children inherit that.
    heeding = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {SCRIPT}"
    command = [sys.executable, "-c", heeding, "index", str(folder), "--into", str(into), "--commit-seconds", "0.5"]
    with subprocess.Popen([*command, "--device", "cpu"], stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not list(into.glob("segments/*.safetensors")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == (
        "setwise index: stopped; all that was finished is stored. Run the same command again and it goes on.\n"
    )
    with Collection.open(into, read_only=True) as collection:
        assert 0 < collection.info().images < 103
