"""Truncated and bit-flipped files: damage is named, or does not matter; it never passes for an answer."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from workload import created, record

from setwise_engine.collection import Collection, verify_folder
from setwise_engine.errors import CollectionError, CorruptError, EngineError, FormatError
from setwise_engine.search import Options, Searcher

Ranking = list[tuple[str, float]]

EXHAUSTIVE = Options(k=5, exhaustive=True)
RECALLED = Options(k=5)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three segments with dead rows, an index that covers two of them."""
    folder = tmp_path_factory.mktemp("damage") / "photos.setwise"
    with created(folder) as collection:
        for part in range(3):
            collection.append([record(f"{part}-{n}", 10 * part + n) for n in range(6)])
            if part == 1:
                collection.build_index()
        collection.append([record("0-3", 99)])
        collection.delete(["1-1", "2-5"])
    return folder


def rankings(folder: Path) -> list[Ranking]:
    """Answers to a search of everything and to one with recall."""
    with Collection.open(folder, read_only=True) as collection:
        searcher = Searcher(collection, scan_threads=1)
        query = record("", 4).features
        answers = [searcher.search(query, options) for options in (EXHAUSTIVE, RECALLED)]
        return [[(hit.id, hit.score) for hit in answer.hits] for answer in answers]


def damaged(sound: Path, folder: Path, pattern: str, count: int, *, cut: bool) -> Iterator[str]:
    """The same collection again and again, each time with one byte of one file changed, or a file cut short."""
    rng = random.Random(f"{pattern} {cut}")
    for _ in range(count):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(sound, folder)
        path = rng.choice(sorted(folder.glob(pattern)))
        data = bytearray(path.read_bytes())
        at = rng.randrange(len(data))
        if cut:
            del data[at:]
        else:
            data[at] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        yield f"{path.name}, byte {at} of {path.stat().st_size}{', cut' if cut else ''}"


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("pattern", ["segments/*", "index/*.faiss", "index/coarse.json", "encoder.safetensors"])
def test_damage_is_named_or_does_not_matter(sound: Path, tmp_path: Path, pattern: str, cut: bool) -> None:
    expected = rankings(sound)
    for what in damaged(sound, tmp_path / "copy", pattern, 25, cut=cut):
        try:
            found = rankings(tmp_path / "copy")
        except EngineError as error:
            assert any(name in str(error) for name in ("segments", "encoder", "safetensors")), (what, str(error))
        else:
            assert found == expected, what
            if not pattern.startswith("index"):
                assert not verify_folder(tmp_path / "copy").ok, what


@pytest.mark.parametrize("cut", [False, True])
def test_a_damaged_catalog_gives_no_wrong_score(sound: Path, tmp_path: Path, cut: bool) -> None:
    expected = rankings(sound)
    with Collection.open(sound, read_only=True) as collection:
        scores = dict(rankings_of_all(collection))
    for what in damaged(sound, tmp_path / "copy", "catalog.sqlite", 60, cut=cut):
        try:
            found = rankings(tmp_path / "copy")
        except (CorruptError, FormatError, CollectionError) as error:
            assert any(name in str(error) for name in ("catalog", "segment", "encoder")), (what, str(error))
            continue
        for id, score in (hit for ranking in found for hit in ranking):
            assert scores.get(id, score) == score, what
        if found != expected:
            assert not verify_folder(tmp_path / "copy").ok, what


def rankings_of_all(collection: Collection) -> Ranking:
    """The score of every image."""
    answer = Searcher(collection).search(record("", 4).features, Options(k=100, exhaustive=True))
    return [(hit.id, hit.score) for hit in answer.hits]


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "sidecar gone"])
def test_a_damaged_index_is_built_anew(sound: Path, tmp_path: Path, damage: str) -> None:
    expected, folder = rankings(sound), tmp_path / "copy"
    shutil.copytree(sound, folder)
    [path] = folder.glob("index/*.faiss")
    data = path.read_bytes()
    if damage == "flipped":
        path.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    elif damage == "cut":
        path.write_bytes(data[:-1])
    else:
        (path if damage == "gone" else folder / "index" / "coarse.json").unlink()
    with Collection.open(folder) as collection:
        [hit] = Searcher(collection).search(record("", 4).features, Options(k=1)).hits  # the index is read when used
        assert hit.id == expected[0][0][0]
        assert collection.info().indexed == 0
        collection.build_index()
        assert collection.info().indexed == collection.info().images
    assert rankings(folder) == expected
    assert verify_folder(folder).problems == []


@pytest.mark.parametrize("name", ["../../{}", "/{}", "{}\0", "..", ""])
def test_a_catalog_that_names_files_elsewhere_is_not_followed(sound: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(sound, folder)
    segment = min(folder.glob("segments/*"))
    shutil.move(segment, tmp_path / segment.name)  # a real segment of this collection, but not in its folder
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as catalog, catalog:
        catalog.execute("UPDATE segments SET file = ? WHERE file = ?", (name.format(segment.name), segment.name))
    with pytest.raises(CorruptError, match="segment"):
        Collection.open(folder)
    assert (tmp_path / segment.name).exists()
