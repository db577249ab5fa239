"""setwise compact: what it prints and does, and its exit codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from setwise._cli import main
from setwise_engine.collection import Collection, ImageRecord


@pytest.fixture
def used(sets: Path, into: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A collection of six images in several segments, one of them deleted."""
    main(["index", str(sets), "--features", "--into", str(into)])
    with Collection.open(into) as collection:
        ids = sorted(collection.sources())
        with collection.snapshot() as snapshot:
            features = snapshot.features(snapshot.page("", 1)[0])
        for n in range(3):
            collection.append([ImageRecord(f"copy-{n}", features)])
        collection.delete(ids[:1])
    capsys.readouterr()
    return into


def test_everything_becomes_one_segment(used: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compact", str(used), "--everything", "--megabytes-per-second", "1000"]) == 0
    said = capsys.readouterr().out
    assert re.match(rf"{re.escape(str(used))}: 4 segments became 1, 1 deleted images dropped, .* written in", said)
    with Collection.open(used) as collection:
        assert (collection.info().segments, collection.info().dead_rows, collection.info().images) == (1, 0, 8)
        assert collection.verify().problems == []


def test_what_is_not_due_is_left(used: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compact", str(used)]) == 0
    assert "4 segments became 4, 0 deleted images dropped" in capsys.readouterr().out


def test_a_damaged_segment_is_named(used: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = sorted((used / "segments").iterdir())[-1]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert main(["compact", str(used), "--everything"]) == 1
    assert f"segment {path.name} differs from its SHA-256 and was left as it is" in capsys.readouterr().out


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "fast"])
def test_a_rate_is_a_number_above_nothing(used: Path, rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compact", str(used), "--megabytes-per-second", rate]) == 2
    assert f"{rate} is no rate; give a number of megabytes above 0" in capsys.readouterr().err
