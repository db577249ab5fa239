"""The int8 gate in segments: written, left out, passed over, checked."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from safetensors.numpy import load_file

from setwise_engine.collection import Collection, ImageRecord, Settings, _segment_writer, verify_folder
from setwise_engine.encoder import Encoder
from setwise_engine.errors import CorruptError
from setwise_engine.matching import Gate, Kernel, gate
from setwise_engine.search import Options, Searcher

Make = Callable[..., ImageRecord]
FIXTURES = Path(__file__).parent / "fixtures"
PARTS = list(Gate.__dataclass_fields__)


@pytest.fixture
def closed(collection: Collection, make: Make) -> Path:
    """The folder of a closed collection of two images in one segment."""
    collection.append([make("a", 1, thumbnail=b"jpeg"), make("b", 2, 1, 5)])
    collection.close()
    return collection.path


def segment_of(folder: Path) -> Path:
    (path,) = (folder / "segments").iterdir()
    return path


def place_of(path: Path, tensor: str) -> int:
    """First byte of a tensor in the file."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return int(8 + length + json.loads(data[8 : 8 + length])[tensor]["data_offsets"][0])


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def check(folder: Path, *, gate: bool) -> None:
    with Collection.open(folder) as opened, opened.snapshot() as snapshot:
        snapshot.check_rows(snapshot.live_keys(), gate=gate)


def test_a_segment_holds_the_gate_of_its_tokens(closed: Path) -> None:
    tensors = load_file(segment_of(closed))
    wanted = gate(tensors["tokens"], tensors["offsets"])
    for part in PARTS:
        np.testing.assert_array_equal(tensors[f"gate_{part}"], getattr(wanted, part), strict=True)
    rows = [(slice(0, 12), 0), (slice(12, 17), 1)]
    crcs = [
        google_crc32c.value(
            b"".join(tensors[f"gate_{part}"][span if part != "means" else row].tobytes() for part in PARTS)
        )
        for span, row in rows
    ]
    assert tensors["gate_crcs"].tolist() == crcs


def test_blocks_bring_the_gate(closed: Path) -> None:
    with Collection.open(closed) as opened, opened.snapshot() as snapshot:
        assert opened.settings.gate
        block = snapshot.blocks()[1]
        wanted = gate(block.tokens, block.offsets)
        assert block.gate is not None
        for part in PARTS:
            array = getattr(block.gate, part)
            np.testing.assert_array_equal(array, getattr(wanted, part), strict=True)
            assert array.flags.c_contiguous
            assert not array.flags.writeable
        snapshot.prefetch(snapshot.live_keys(), gate=True)
        assert opened.info().bytes["gate"] == sum(getattr(wanted, part).nbytes for part in PARTS) + 8
        assert opened.info().total_bytes == sum(opened.info().bytes.values())


@pytest.fixture
def plain(folder: Path, settings: Settings, tiny: Encoder, make: Make) -> Path:
    """The folder of a collection that was made without a gate."""
    with Collection.create(folder, replace(settings, gate=False), tiny) as made:
        made.append([make("a", 1), make("b", 2)])
    return folder


def test_a_collection_may_do_without(plain: Path) -> None:
    assert not any(name.startswith("gate") for name in load_file(segment_of(plain)))
    with Collection.open(plain) as opened, opened.snapshot() as snapshot:
        assert (opened.settings.gate, opened.info().bytes["gate"]) == (False, 0)
        assert snapshot.blocks()[1].gate is None
        snapshot.prefetch(snapshot.live_keys(), gate=True)
        snapshot.check_rows(snapshot.live_keys(), gate=True)
        assert opened.verify(recompute=True).ok


def test_without_a_gate_the_tokens_are_checked_in_its_place(plain: Path) -> None:
    flip(segment_of(plain), place_of(segment_of(plain), "tokens"))
    with pytest.raises(CorruptError, match="tokens of image 'a'"):
        check(plain, gate=True)


def test_a_collection_from_before_the_gate_stays_without(tmp_path: Path) -> None:
    folder = tmp_path / "old.setwise"
    shutil.copytree(FIXTURES / "v1", folder)
    with Collection.open(folder) as old:
        assert not old.settings.gate
        with old.snapshot() as snapshot:
            image = ImageRecord("new", old_set := snapshot.features(snapshot.page("", 1)[0]))
        assert len(old_set)
        old.append([image])
        with old.snapshot() as snapshot:
            assert all(block.gate is None for block in snapshot.blocks().values())


def test_an_older_release_can_still_read_the_settings(closed: Path) -> None:
    """It takes the settings' names for keyword arguments, and passes over names in `meta` that it does not know."""
    with sqlite3.connect(closed / "catalog.sqlite") as connection:
        meta = dict(connection.execute("SELECT name, value FROM meta"))
    connection.close()
    assert "gate" not in json.loads(meta["settings"])
    assert meta["gate"] == 1


def test_segments_with_and_without_a_gate_go_together(collection: Collection, make: Make) -> None:
    collection.append([make("a", 1)])
    collection._writer._settings = replace(collection.settings, gate=False)
    collection.append([make("b", 2)])
    with collection.snapshot() as snapshot:
        assert [block.gate is not None for block in snapshot.blocks().values()] == [True, False]
        snapshot.prefetch(snapshot.live_keys(), gate=True)
        snapshot.check_rows(snapshot.live_keys(), gate=True)
    assert collection.verify(recompute=True).ok


def test_a_gate_of_another_version_is_passed_over(closed: Path) -> None:
    path = segment_of(closed)
    data = path.read_bytes()
    assert data.count(b'"gate":"1"') == 1
    path.write_bytes(data.replace(b'"gate":"1"', b'"gate":"9"'))
    with Collection.open(closed) as opened, opened.snapshot() as snapshot:
        assert snapshot.blocks()[1].gate is None
        snapshot.check_rows(snapshot.live_keys(), gate=True)


def test_a_gate_that_is_announced_and_not_there_is_damage(closed: Path) -> None:
    path = segment_of(closed)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"gate_sums":', b'"gate_same":', 1))
    with pytest.raises(CorruptError, match=path.name):
        check(closed, gate=False)


@pytest.mark.parametrize("part", PARTS)
def test_a_changed_byte_of_a_gate_names_image_and_file(closed: Path, part: str) -> None:
    path = segment_of(closed)
    tensors = load_file(path)
    array = tensors[f"gate_{part}"]
    skipped = array[:1].nbytes if part == "means" else array[:12].nbytes  # to the second image's
    flip(path, place_of(path, f"gate_{part}") + skipped)
    check(closed, gate=False)
    with pytest.raises(CorruptError, match=f"int8 gate of image 'b', row 1 of segment {re.escape(path.name)}"):
        check(closed, gate=True)
    (problem,) = verify_folder(closed).problems
    assert f"int8 gate of image 'b', row 1 of segment {path.name}" in problem


def test_changed_checksums_of_gates_are_noticed_when_the_file_is_mapped(closed: Path) -> None:
    flip(segment_of(closed), place_of(segment_of(closed), "gate_crcs"))
    with pytest.raises(CorruptError, match="'gate_crcs'"):
        check(closed, gate=False)


def test_a_gate_that_was_written_wrong_is_found_by_recomputing(
    collection: Collection, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checksum is right: only the tokens can tell."""

    def wrong(tokens: np.ndarray, offsets: np.ndarray) -> Gate:
        made = gate(tokens, offsets)
        return replace(made, errors=made.errors / 2) if len(tokens) == 5 else made

    monkeypatch.setattr(_segment_writer, "gate_of", wrong)
    collection.append([make("a", 1), make("b", 2, 1, 5)])
    assert collection.verify().ok
    (problem,) = collection.verify(recompute=True).problems
    assert "int8 gate of image 'b'" in problem
    assert "does not fit its tokens" in problem


def test_the_file_is_the_same_however_often_it_is_written(
    folder: Path, settings: Settings, tiny: Encoder, make: Make
) -> None:
    digests = set()
    for name in ("one", "two"):
        with Collection.create(folder / name, settings, tiny) as made:
            made.append([make("a", 1), make("b", 2)])
            tensors = load_file(segment_of(made.path))
            digests.add(hashlib.sha256(b"".join(tensors[key].tobytes() for key in sorted(tensors))).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("exhaustive", [False, True])
def test_a_search_that_reads_a_damaged_gate_names_it(closed: Path, make: Make, exhaustive: bool) -> None:
    path = segment_of(closed)
    flip(path, place_of(path, "gate_codes") + 12 * 8)
    with Collection.open(closed) as opened, pytest.raises(CorruptError, match="int8 gate of image 'b'"):
        Searcher(opened).search(make("query", 3).features, Options(k=1, exhaustive=exhaustive))


@pytest.mark.parametrize("kernel", list(Kernel))
def test_answers_are_the_same_with_a_gate_without_one_and_with_both(
    folder: Path, settings: Settings, tiny: Encoder, make: Make, kernel: Kernel
) -> None:
    records = [make(f"{n:03}", n % 50, 1, 1 + n % 7) for n in range(120)]
    query = make("query", 3, 1, 4).features
    answers = []
    for first, second in ((True, True), (False, False), (True, False)):
        with Collection.create(folder / f"{first}{second}", replace(settings, gate=first), tiny) as made:
            made.append(records[:60])
            made._writer._settings = replace(settings, gate=second)
            made.append(records[60:])
            hits = Searcher(made).search(query, Options(k=7, kernel=kernel, exhaustive=True)).hits
            answers.append([(hit.id, hit.score) for hit in hits])
    assert answers[0] == answers[1] == answers[2]
