"""Ids and metadata at their limits, nothing at all, and clocks that jump: what is stored comes back, also reopened."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from workload import content, created, record

from setwise_engine.collection import Collection
from setwise_engine.errors import EngineError
from setwise_engine.search import Options, Searcher

SCRIPTS = (
    *("Ελληνικά", "русский", "עברית", "العربية", "हिन्दी", "বাংলা", "தமிழ்", "ไทย", "ລາວ", "မြန်မာ", "ខ្មែរ", "ქართული"),
    *(
        "հայերեն",
        "አማርኛ",
        "中文",
        "日本語",
        "한국어",
        "ᐃᓄᒃᑎᑐᑦ",
        "ᏣᎳᎩ",
        "𐎀𐎁",
        "𓀀𓂀",
        "e\u0301",
        "é",
        "🦊👩‍👩‍👧",
        "\u202eright to left",
    ),
    *(" ", "a b", "a/b", "../..", "a\\b", "a'b\"c;--", "%s", "\t\n", "\x7f", "CON", ".", "\U0010fffd"),
)
LENGTHS = ("a", "a" * 1000, "語" * 1000, "𓀀" * 1000)


def test_ids_of_every_length_and_script(tmp_path: Path) -> None:
    ids = [*SCRIPTS, *LENGTHS]
    with created(tmp_path / "c.setwise") as collection:
        collection.append([record(id, n) for n, id in enumerate(ids)])
        collection.update({id: {"again": id} for id in ids})
    with Collection.open(tmp_path / "c.setwise") as collection:
        assert list(content(collection)) == sorted(ids, key=str.encode)
        answer = Searcher(collection).search(record("", 5).features, Options(k=100, exhaustive=True, metadata=True))
        assert {hit.id: hit.metadata for hit in answer.hits} == {id: {"again": id} for id in ids}
        collection.delete(ids[::2])
        assert list(content(collection)) == sorted(ids[1::2], key=str.encode)
        assert collection.verify().problems == []


@pytest.mark.parametrize("id", ["", "a" * 1001, "nul\0", "\ud800"])
def test_an_id_over_the_limits_is_refused_and_nothing_stored(tmp_path: Path, id: str) -> None:
    with created(tmp_path / "c.setwise") as collection:
        with pytest.raises(EngineError):
            collection.append([record("fine", 1), record(id, 2)])
        assert content(collection) == {}


def test_metadata_of_one_megabyte(tmp_path: Path) -> None:
    largest = {"text": "é" * ((1 << 19) - 10), "n": 1}
    with created(tmp_path / "c.setwise") as collection:
        collection.append([record("large", 1, largest)])
        with pytest.raises(EngineError, match="large"):
            collection.append([record("too large", 1, {"text": "é" * (1 << 19), "more": "x" * 100})])
        collection.update({"large": {"list": [f"word {n}" for n in range(60_000)]}})
    with Collection.open(tmp_path / "c.setwise") as collection:
        assert list(content(collection)) == ["large"]
        assert collection.sources()["large"].metadata == {"list": [f"word {n}" for n in range(60_000)]}
        assert collection.verify().problems == []


def test_everything_deleted_and_filled_again(tmp_path: Path) -> None:
    with created(tmp_path / "c.setwise") as collection:
        for turn in range(3):
            collection.append([record(f"{n}", 100 * turn + n) for n in range(10)])
            collection.build_index()
            collection.delete([f"{n}" for n in range(10)])
            assert content(collection) == {}
            assert Searcher(collection).search(record("", 1).features).hits == ()
            collection.build_index()
            assert collection.verify().problems == []
        collection.append([record("0", 1)])
        [hit] = Searcher(collection).search(record("", 1).features).hits
        assert (hit.id, hit.score) == ("0", pytest.approx(1.0))


def test_an_empty_collection_answers(tmp_path: Path) -> None:
    with created(tmp_path / "c.setwise") as collection:
        collection.build_index()
        for options in (Options(), Options(exhaustive=True)):
            answer = Searcher(collection).search(record("", 1).features, options)
            assert (len(answer.hits), answer.collection_size) == (0, 0)
        assert collection.delete(["nothing"]) >= 0
        assert collection.verify().problems == []
    with Collection.open(tmp_path / "c.setwise", read_only=True) as collection:
        assert content(collection) == {}


@pytest.mark.parametrize("jump", [-1e9, 1e9])
def test_a_clock_that_jumps_hides_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    folder = tmp_path / "c.setwise"
    now, now_ns = time.time, time.time_ns
    with created(folder) as collection, Collection.open(folder, read_only=True) as reader:
        for turn in range(6):
            shift = jump * (turn % 3)
            monkeypatch.setattr(time, "time", lambda shift=shift: now() + shift)
            monkeypatch.setattr(time, "time_ns", lambda shift=shift: now_ns() + int(shift * 1e9))
            collection.append([record(f"{turn}", turn)])
            for path in (folder, *folder.rglob("*")):  # what the file system would note
                os.utime(path, (time.time(), max(0.0, time.time())))
            if turn % 2:
                collection.build_index()
            for opened in (collection, reader):
                assert list(content(opened)) == [f"{n}" for n in range(turn + 1)]
        assert collection.verify().problems == []
