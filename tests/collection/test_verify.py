"""`verify` reads everything, names what is wrong, and changes nothing."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from setwise_engine.collection import Collection, ImageRecord, verify_folder
from setwise_engine.errors import FormatError, NotFound

Make = Callable[..., ImageRecord]


@pytest.fixture
def closed(collection: Collection, make: Make) -> Path:
    """The folder of a closed collection: two segments, a dead row, an index."""
    fields = {"year": 2026, "tags": ["x", None, 1.5, True], "none": [], "title": "Ünïcode", "flag": False}
    collection.append([make("a", 1, thumbnail=b"jpeg" * 20), make("b", 2, metadata=fields), make("c", 3)])
    collection.append([make("a", 4)])
    collection.build_index()
    collection.close()
    return collection.path


def digests(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def test_a_sound_collection_verifies_and_stays_as_it_is(closed: Path) -> None:
    before = digests(closed)
    steps: list[tuple[int, int]] = []
    report = verify_folder(closed, lambda done, total: steps.append((done, total)))
    assert (report.ok, report.problems, report.images) == (True, [], 3)
    segments = sum(path.stat().st_size for path in (closed / "segments").iterdir())
    assert (report.bytes, steps[-1]) == (segments, (segments, segments))
    assert digests(closed) == before


def test_every_flipped_bit_of_a_segment_is_found(closed: Path) -> None:
    path = min((closed / "segments").iterdir())
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    places = [0, 8, 4000, len(data) - 1]
    places += [8 + length + tensor["data_offsets"][0] for name, tensor in header.items() if name != "__metadata__"]
    for place in places:
        path.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        report = verify_folder(closed)
        assert not report.ok
        assert all(path.name in problem for problem in report.problems), report.problems


def test_damaged_tokens_are_named_by_image(closed: Path) -> None:
    with Collection.open(closed) as opened, opened.snapshot() as snapshot:
        tokens = snapshot.tokens(snapshot.page("b", 1)[0]).tobytes()
    path = min((closed / "segments").iterdir())
    data = bytearray(path.read_bytes())
    data[data.index(tokens) + 5] ^= 64
    path.write_bytes(data)
    with Collection.open(closed) as opened:
        (problem,) = opened.verify().problems
    assert "image 'c', row 2" in problem
    assert path.name in problem


def test_damage_to_a_dead_row_is_found_too(closed: Path) -> None:
    path = min((closed / "segments").iterdir())
    data = bytearray(path.read_bytes())
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    data[8 + int.from_bytes(data[:8], "little") + header["tokens"]["data_offsets"][0]] ^= 1
    path.write_bytes(data)
    (problem,) = verify_folder(closed).problems
    assert "differs from its SHA-256" in problem


def test_files_that_are_gone_are_named(closed: Path) -> None:
    path = min((closed / "segments").iterdir())
    path.unlink()
    next((closed / "index").glob("*.faiss")).unlink()
    first, second = verify_folder(closed).problems
    assert f"segment {path.name} is missing" in first
    assert "the index cannot be read" in second
    (closed / "encoder.safetensors").unlink()
    assert any("encoder.safetensors is missing" in problem for problem in verify_folder(closed).problems)


def test_a_damaged_encoder_does_not_hide_other_damage(closed: Path) -> None:
    for path in (closed / "encoder.safetensors", *(closed / "segments").iterdir(), *(closed / "index").glob("*.faiss")):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    encoder, *segments, index = verify_folder(closed).problems
    assert "encoder" in encoder
    assert all("differs from its SHA-256" in problem for problem in (*segments, index))
    assert len(segments) == len(list((closed / "segments").iterdir()))


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM dead", "the catalog knows 2 of them"),
        ("DELETE FROM images WHERE id = 'b'", "the catalog knows 2 of them"),
        ("INSERT INTO dead SELECT key, 9 FROM images WHERE id = 'b'", "both live and dead"),
        ("UPDATE images SET key = 77 << 32 WHERE id = 'b'", "name a segment that does not exist"),
        ("UPDATE images SET key = key + 50 WHERE id = 'c'", "which has 3 rows"),
        ("UPDATE images SET tokens = 5 WHERE id = 'b'", "other numbers of tokens"),
        ("UPDATE images SET grid_rows = 4 WHERE id = 'b'", "other numbers of tokens"),
        ("UPDATE images SET metadata = '{' WHERE id = 'b'", "metadata of image 'b'"),
        ("UPDATE segments SET sha256 = 'x' WHERE id = 1", "differs from its SHA-256"),
        ("UPDATE segments SET rows = 4 WHERE id = 1", "is not what the catalog says"),
        ("UPDATE meta SET value = '{}' WHERE name = 'settings'", "settings are damaged"),
        ("DELETE FROM meta WHERE name = 'version'", "lacks its 'version'"),
        ("UPDATE segments SET state = 'gone' WHERE id = 2", "name a segment that does not exist"),
        ("UPDATE images SET birth = birth + 9 WHERE id = 'c'", "image 'c' has another birth"),
        ("UPDATE images SET metadata = '{}' WHERE id = 'b'", "another metadata of image 'b'"),
        ("UPDATE images SET metadata = '{\"x\":1}' WHERE id = 'c'", "another metadata of image 'c'"),
        ("DELETE FROM entries WHERE kind = 8", "another metadata of image 'b'"),
        ("UPDATE entries SET kind = 2 WHERE kind = 1", "another metadata of image 'b'"),
        ("UPDATE entries SET value = 1.25 WHERE value = 1.5", "another metadata of image 'b'"),
        ("UPDATE fields SET name = 'yeer' WHERE name = 'year'", "another metadata of image 'b'"),
        ("DELETE FROM fields WHERE name = 'year'", "1 entries of the catalog's filter table are of fields"),
        ("INSERT INTO entries VALUES (1, 2, 5, 77)", "1 entries of the catalog's filter table are of images"),
    ],
)
def test_a_catalog_that_contradicts_itself_is_named(closed: Path, statement: str, message: str) -> None:
    connection = sqlite3.connect(closed / "catalog.sqlite")
    with connection:
        connection.execute(statement)
    connection.close()
    assert any(message in problem for problem in verify_folder(closed).problems), verify_folder(closed).problems


def test_a_catalog_with_damaged_pages_is_reported(closed: Path) -> None:
    catalog = closed / "catalog.sqlite"
    data = bytearray(catalog.read_bytes())
    data[8192:12288] = b"\x55" * 4096
    catalog.write_bytes(data)
    report = verify_folder(closed)
    assert not report.ok
    assert "catalog" in report.problems[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda births: births[:-1], "instead of"),
        (lambda births: births[[0, 0, 1]], "names 2 images instead of 3"),
        (lambda births: births + (9 << 32), r"of segments that coarse\.json does not name"),
        (lambda births: births + 7, "lacks 3 of the images"),
    ],
)
def test_an_index_over_other_images_is_named(
    closed: Path, change: Callable[[NDArray[np.int64]], NDArray[np.int64]], message: str
) -> None:
    (path,) = (closed / "index").glob("*.births")
    changed = change(np.fromfile(path, "<i8")).astype("<i8")
    path.write_bytes(changed.tobytes())
    (problem,) = verify_folder(closed).problems
    assert "differs from its SHA-256" in problem
    sidecar = closed / "index" / "coarse.json"
    said = json.loads(sidecar.read_text()) | {"births_sha256": hashlib.sha256(changed.tobytes()).hexdigest()}
    sidecar.write_text(json.dumps(said))
    assert any(re.search(message, problem) for problem in verify_folder(closed).problems)


def test_what_is_written_and_compacted_meanwhile_is_no_problem(closed: Path, make: Make) -> None:
    """Segments that compaction takes away between two looks are not missing; their rows are read where they are now."""
    with Collection.open(closed) as opened:
        read: list[int] = []

        def write(done: int, total: int) -> None:
            if not read:
                opened.append([make("d", 7)])
                opened.delete(["b"])
                opened.compact(everything=True)
            read.append(done)

        report = verify_folder(closed, write)
        assert report.problems == []
        (segment,) = (closed / "segments").iterdir()
        assert read[-1] >= segment.stat().st_size


def test_births_are_compared_where_compaction_has_been(closed: Path) -> None:
    with Collection.open(closed) as opened:
        opened.compact(everything=True)
    assert verify_folder(closed).problems == []
    connection = sqlite3.connect(closed / "catalog.sqlite")
    with connection:
        connection.execute("UPDATE images SET birth = key WHERE id = 'c'")
    connection.close()
    assert any("image 'c' has another birth" in problem for problem in verify_folder(closed).problems)


def test_what_is_no_collection_cannot_be_verified(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        verify_folder(tmp_path / "none")
    with pytest.raises(FormatError):
        verify_folder(tmp_path)
