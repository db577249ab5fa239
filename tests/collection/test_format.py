"""The bytes on disk: what docs/format.md promises, old files, foreign files, newer files, damaged files."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from safetensors.numpy import load_file

from setwise_engine.collection import FORMAT_VERSION, Collection, ImageRecord, Snapshot, restore
from setwise_engine.errors import CorruptError, FormatError, NotFound
from setwise_engine.feature_set import FeatureSet, Stage
from setwise_engine.filters import And, AnyOf, Contains, Equals, Exists, Not, Or, Range, matches

Make = Callable[..., ImageRecord]
FIXTURES = Path(__file__).parent / "fixtures"


def only_segment(collection: Collection) -> Path:
    (path,) = (collection.path / "segments").iterdir()
    return path


def key(snapshot: Snapshot, id: str) -> int:
    found = snapshot.keys([id])[0]
    assert found is not None
    return found


def tokens_of_a(folder: Path) -> np.ndarray:
    with Collection.open(folder) as opened, opened.snapshot() as snapshot:
        return snapshot.tokens(key(snapshot, "a"))


@pytest.fixture
def closed(collection: Collection, make: Make) -> Path:
    """The folder of a closed collection of two images."""
    collection.append([make("a", 1, thumbnail=b"jpeg"), make("b", 2, 1, 5)])
    collection.close()
    return collection.path


def flip(path: Path, position: int, mask: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= mask
    path.write_bytes(data)


def test_a_segment_is_a_plain_safetensors_file(collection: Collection, make: Make) -> None:
    records = [make("a", 1, thumbnail=b"jpeg"), make("b", 2, 1, 5)]
    collection.append(records)
    tensors = load_file(only_segment(collection))
    a, b = (record.features.tokens for record in records)
    np.testing.assert_array_equal(tensors["tokens"], np.concatenate([a, b]))
    assert tensors["offsets"].tolist() == [0, 12, 17]
    assert tensors["grids"].tolist() == [[3, 4], [1, 5]]
    assert tensors["sizes"].tolist() == [[640, 480]] * 2
    assert tensors["crcs"].tolist() == [google_crc32c.value(a.tobytes()), google_crc32c.value(b.tobytes())]
    np.testing.assert_allclose(tensors["squares"], [np.square(x.astype(np.float64)).sum() for x in (a, b)], rtol=1e-15)
    np.testing.assert_array_equal(tensors["coarse"], collection.coarse.pool_many([a, b]))
    assert tensors["thumbnail_offsets"].tolist() == [0, 4, 4]
    assert tensors["thumbnails"].tobytes() == b"jpeg"


def test_a_compacted_segment_is_one_too_and_knows_where_its_images_were_born(
    collection: Collection, make: Make
) -> None:
    records = [make("a", 1, thumbnail=b"jpeg"), make("b", 2, 1, 5), make("c", 3)]
    for record in records:
        collection.append([record])
    collection.delete(["b"])
    collection.compact(everything=True)
    tensors = load_file(only_segment(collection))
    a, _, c = (record.features.tokens for record in records)
    assert tensors["births"].tolist() == [1 << 32, 3 << 32]
    np.testing.assert_array_equal(tensors["tokens"], np.concatenate([a, c]))
    assert tensors["crcs"].tolist() == [google_crc32c.value(a.tobytes()), google_crc32c.value(c.tobytes())]
    connection = sqlite3.connect(collection.path / "catalog.sqlite")
    assert connection.execute("SELECT id, key, birth FROM images ORDER BY key").fetchall() == [
        ("a", 4 << 32, 1 << 32),
        ("c", 4 << 32 | 1, 3 << 32),
    ]
    states = connection.execute("SELECT id, state FROM segments ORDER BY id").fetchall()
    assert states == [(1, "gone"), (2, "gone"), (3, "gone"), (4, "live")]
    assert connection.execute("SELECT count(*) FROM dead").fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize("rows", [1, 3, 33])
def test_data_begins_at_a_page_and_tensors_at_64_bytes(collection: Collection, make: Make, rows: int) -> None:
    collection.append([make(f"i{n}", n, 1, 1 + n % 3, thumbnail=b"x" * n) for n in range(rows)])
    data = only_segment(collection).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert header.pop("__metadata__")["format"] == "setwise-segment"
    assert (8 + length) % 4096 == 0
    assert all((8 + length + t["data_offsets"][0]) % 64 == 0 for n, t in header.items() if not n.startswith("_pad"))
    assert max(t["data_offsets"][1] for t in header.values()) == len(data) - 8 - length


def test_the_catalog_is_plain_sqlite(closed: Path) -> None:
    assert sorted(path.name for path in closed.iterdir()) == [
        *("catalog.sqlite", "encoder.safetensors", "index", "segments", "writer.lock")
    ]
    with sqlite3.connect(closed / "catalog.sqlite") as connection:
        assert connection.execute("PRAGMA application_id").fetchone()[0] == 0x53455457
        assert connection.execute("PRAGMA user_version").fetchone()[0] == FORMAT_VERSION
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        keys = connection.execute("SELECT id, key FROM images ORDER BY id").fetchall()
    connection.close()
    assert keys == [("a", 1 << 32), ("b", 1 << 32 | 1)]


FILTERS = (
    Equals("seed", 1), AnyOf("tags", (1.5, "y")), Contains("tags", True), Contains("tags", None), Exists("colour"),
    Equals("colour", "grün"), Range("price", gt=2, le=2.5), Equals("sold", None), Not(Exists("tags")),
    And((Exists("seed"), Not(Equals("seed", 4)))), Or((Equals("ripe", True), Range("seed", ge=7))),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("v1", (1, 3, 2, 3, 0)),  # an index of version 1 is passed over
        ("v1-gate1", (1, 3, 2, 3, 0)),
        ("v2", (2, 6, 1, 3, 3)),
        ("v2.tar", (2, 6, 1, 3, 0)),  # a snapshot has no index
    ],
)
def test_every_version_ever_written_can_be_read(tmp_path: Path, name: str, counts: tuple[int, ...]) -> None:
    """The fixtures were written by fixtures/make.py of their time and are never written again.

    counts: format version, images, dead rows, segments, indexed images. The first write brings the catalog to the
    present version.
    """
    folder = tmp_path / "old.setwise"
    if name.endswith(".tar"):
        restore(FIXTURES / name, folder)
    else:
        shutil.copytree(FIXTURES / name, folder)
    expected = json.loads((FIXTURES / name).with_suffix(".json").read_text())
    with Collection.open(folder) as old:
        info = old.info()
        assert (info.format_version, info.images, info.dead_rows, info.segments, info.indexed) == counts
        assert old.settings.gate == (name != "v1")
        assert old.verify(recompute=True).problems == []
        with old.snapshot() as snapshot:
            keys = snapshot.page("", 10)
            for image, key, known in zip(snapshot.stored(keys, thumbnails=True), keys, expected, strict=True):
                assert (image.id, image.metadata) == (known["id"], known["metadata"])
                assert (image.grid, image.image_size) == tuple(map(_tuple, (known["grid"], known["size"])))
                assert image.thumbnail.decode() == known["thumbnail"]
                np.testing.assert_array_equal(snapshot.tokens(key), np.array(known["tokens"], "<f2").reshape(-1, 8))
                assert snapshot.square(key) == known["square"]
                np.testing.assert_allclose(snapshot.coarse(key), known["coarse"], atol=1e-6)
                assert old.sources()[image.id].content_hash == known["content_hash"]
            best = [found.key for found in snapshot.recall(snapshot.coarse(keys[0]), len(keys))]
            assert (best[0], sorted(best)) == (keys[0], sorted(keys))
            for where in FILTERS:
                ids = sorted(snapshot.ids(snapshot.matching(where).tolist()))
                assert ids == [image["id"] for image in expected if matches(where, image["metadata"])], where
        empty = FeatureSet(np.zeros((0, 8), np.float16), Stage.ENCODED, "", old.encoder.fingerprint)
        assert old.append([ImageRecord("new", empty)]) == info.version + 1
        assert (old.info().format_version, old.info().images) == (FORMAT_VERSION, info.images + 1)
        assert old.verify(recompute=True).problems == []


def _tuple(value: list[int] | None) -> tuple[int, ...] | None:
    return None if value is None else tuple(value)


def test_what_is_no_collection_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="setwise index"):
        Collection.open(tmp_path / "nothing")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FormatError, match="is a file"):
        Collection.open(tmp_path / "file")
    with pytest.raises(FormatError, match=r"holds no catalog\.sqlite"):
        Collection.open(tmp_path)
    catalog = tmp_path / "catalog.sqlite"
    catalog.write_bytes(b"not a database, but long enough to have a header")
    with pytest.raises(FormatError, match="not an SQLite file"):
        Collection.open(tmp_path)
    catalog.unlink()
    connection = sqlite3.connect(catalog)
    connection.execute("CREATE TABLE images (id TEXT)")
    connection.close()
    with pytest.raises(FormatError, match="no catalog of ours"):
        Collection.open(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalog.sqlite", "file"]


def test_a_newer_version_is_refused_naming_both(closed: Path) -> None:
    connection = sqlite3.connect(closed / "catalog.sqlite")
    connection.execute(f"PRAGMA user_version={FORMAT_VERSION + 1}")
    connection.close()
    with pytest.raises(FormatError, match=f"version {FORMAT_VERSION + 1}, this release knows versions 1 to 2"):
        Collection.open(closed)


def test_a_newer_segment_is_refused_naming_both(closed: Path) -> None:
    (path,) = (closed / "segments").iterdir()
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"version":"1"', b'"version":"2"', 1))
    with pytest.raises(FormatError, match="version 2, this release knows version 1"):
        tokens_of_a(closed)


def test_a_later_release_may_add_arrays(closed: Path) -> None:
    """A reader of version 1 looks only at the arrays that version 1 names."""
    (path,) = (closed / "segments").iterdir()
    data = path.read_bytes()
    flipped = data.replace(b'"_pad0":{"dtype":"U8"', b'"more":{"dtype":"I8"', 1)
    assert flipped != data or b'"_pad0"' not in data
    path.write_bytes(flipped)
    assert tokens_of_a(closed).shape == (12, 8)


def test_a_bit_flip_in_tokens_names_image_and_file(closed: Path) -> None:
    (path,) = (closed / "segments").iterdir()
    start = path.read_bytes().index(tokens_of_a(closed).tobytes())
    flip(path, start + 12 * 8 * 2 + 3)  # in the tokens of b
    with Collection.open(closed) as opened, opened.snapshot() as snapshot:
        assert snapshot.tokens(key(snapshot, "a")).shape == (12, 8)
        with pytest.raises(CorruptError, match=f"image 'b', row 1 of segment {path.name}"):
            snapshot.tokens(key(snapshot, "b"))


@pytest.mark.parametrize("change", ["shorter", "longer", "missing"])
def test_a_segment_of_another_size_is_refused_at_open(closed: Path, change: str) -> None:
    (path,) = (closed / "segments").iterdir()
    match change:
        case "shorter":
            os.truncate(path, path.stat().st_size - 1)
        case "longer":
            path.write_bytes(path.read_bytes() + b"\0")
        case _:
            path.unlink()
    with pytest.raises(CorruptError, match=path.name):
        Collection.open(closed)


def test_segments_that_were_exchanged_are_noticed(collection: Collection, make: Make) -> None:
    collection.append([make("a", 1)])
    collection.append([make("b", 2)])
    collection.close()
    a, b = sorted((collection.path / "segments").iterdir())
    data = a.read_bytes()
    a.write_bytes(b.read_bytes())
    b.write_bytes(data)
    with pytest.raises(CorruptError, match="belongs to another"):
        tokens_of_a(collection.path)


def test_a_damaged_header_is_named(closed: Path) -> None:
    (path,) = (closed / "segments").iterdir()
    data = path.read_bytes()
    for position, mask in (
        (0, 0xFF),
        (4, 0xFF),
        (8, 0x01),
        (data.index(b'"F16"') + 1, 0x02),
        (data.index(b"crc32c."), 1),
    ):
        flip(path, position, mask)
        with pytest.raises(CorruptError, match=path.name):
            tokens_of_a(closed)
        path.write_bytes(data)


def test_a_catalog_that_lost_its_beginning_is_damaged_not_foreign(closed: Path) -> None:
    flip(closed / "catalog.sqlite", 3)
    with pytest.raises(CorruptError, match=r"catalog\.sqlite is damaged"):
        Collection.open(closed)


def test_a_catalog_with_damaged_pages_is_named(closed: Path) -> None:
    catalog = closed / "catalog.sqlite"
    data = catalog.read_bytes()
    catalog.write_bytes(data[:4096] + b"\xaa" * (len(data) - 4096))
    with pytest.raises(CorruptError, match=r"catalog\.sqlite"), Collection.open(closed) as opened:
        opened.info()


def test_a_catalog_without_a_table_is_named(closed: Path) -> None:
    connection = sqlite3.connect(closed / "catalog.sqlite")
    connection.execute("DROP TABLE dead")
    connection.close()
    with pytest.raises(CorruptError, match="lacks a part"):
        Collection.open(closed)


def test_encoder_missing_or_exchanged_is_named(closed: Path, tmp_path: Path) -> None:
    encoder = closed / "encoder.safetensors"
    good = encoder.read_bytes()
    flip(encoder, len(good) - 1)
    with pytest.raises(CorruptError, match=r"encoder\.safetensors"):
        Collection.open(closed)
    encoder.unlink()
    with pytest.raises(CorruptError, match=r"encoder\.safetensors is missing"):
        Collection.open(closed)
