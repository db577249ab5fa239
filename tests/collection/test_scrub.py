"""The slow scrub goes round all files in small steps, names what is damaged, and changes nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from setwise_engine.collection import Collection, ImageRecord, Scrub, ScrubProblem
from setwise_engine.errors import CollectionError, CorruptError

Make = Callable[..., ImageRecord]


@pytest.fixture
def filled(collection: Collection, make: Make) -> Collection:
    """Five segments of 20 images, and an index."""
    for first in range(0, 100, 20):
        collection.append([make(f"i{n}", n, 20, 20, thumbnail=b"jpeg") for n in range(first, first + 20)])
    collection.build_index()
    return collection


def one_round(collection: Collection, step: int = 100_000) -> list[ScrubProblem]:
    scrub = Scrub(collection)
    problems: list[ScrubProblem] = []
    while not scrub.rounds:
        problems += scrub.step(step)
    return problems


def damage(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 8
    path.write_bytes(data)


def segments(collection: Collection) -> list[Path]:
    return sorted((collection.path / "segments").iterdir())


def test_a_sound_collection_has_no_problems_and_stays_as_it_is(filled: Collection) -> None:
    files = [path for path in filled.path.rglob("*") if path.is_file()]
    before = [hashlib.sha256(path.read_bytes()).digest() for path in files]
    assert one_round(filled) == []
    assert [hashlib.sha256(path.read_bytes()).digest() for path in files] == before


def test_steps_are_small_and_go_round_for_ever(filled: Collection) -> None:
    size = sum(path.stat().st_size for path in [*segments(filled), *(filled.path / "index").glob("*.faiss")])
    scrub = Scrub(filled)
    steps = 0
    while scrub.rounds < 3:
        assert scrub.step(1) == []
        steps += 1
    assert 3 * size / (1 << 20) <= steps <= 3 * 8  # at most a piece a file and the end of the round
    scrub.close()


def test_an_empty_collection_has_rounds_too(collection: Collection) -> None:
    scrub = Scrub(collection)
    assert [scrub.step(1 << 20) for _ in range(3)] == [[], [], []]
    assert scrub.rounds == 3


def test_every_byte_is_looked_at(filled: Collection) -> None:
    for path in (segments(filled)[0], segments(filled)[-1]):
        size = path.stat().st_size
        for place in (3, 500, 5000, size // 2, size - 1):
            damage(path, place)
            problems = one_round(filled)
            assert problems
            assert {(problem.file, problem.index) for problem in problems} == {(path.name, False)}
            assert all(path.name in problem.message for problem in problems)
            damage(path, place)
    assert one_round(filled) == []


def test_damaged_tokens_are_named_by_image(filled: Collection, make: Make) -> None:
    path = segments(filled)[2]
    damage(path, path.read_bytes().index(make("i47", 47, 20, 20).features.tokens.tobytes()))
    (problem,) = one_round(filled)
    assert "image 'i47', row 7" in problem.message


def test_damage_is_found_in_every_round_and_again_after_a_repair_not(filled: Collection) -> None:
    path = segments(filled)[0]
    damage(path, path.stat().st_size - 1)
    scrub = Scrub(filled)
    found: list[int] = []
    while scrub.rounds < 4:
        round = scrub.rounds
        if scrub.step(50_000):
            found.append(round)
        if round == 1 and scrub.rounds == 2:
            damage(path, path.stat().st_size - 1)
    assert found == [0, 1]


def test_a_damaged_or_missing_index_is_told_apart(filled: Collection) -> None:
    (index,) = (filled.path / "index").glob("*.faiss")
    damage(index, 40)
    (problem,) = one_round(filled)
    assert (problem.file, problem.index) == (index.name, True)
    index.unlink()
    (problem,) = one_round(filled)
    assert problem.index
    (filled.path / "index" / "coarse.json").write_bytes(b"{")
    (problem,) = one_round(filled)
    assert problem.index
    filled.build_index()
    assert one_round(filled) == []


def test_a_missing_file_and_a_damaged_encoder_are_named(filled: Collection) -> None:
    path = segments(filled)[1]
    path.rename(path.with_suffix(".away"))
    damage(filled.path / "encoder.safetensors", -1)
    assert [problem.file for problem in one_round(filled)] == ["encoder.safetensors", path.name]


def test_what_is_stored_meanwhile_is_read_in_the_next_round(filled: Collection, make: Make) -> None:
    scrub = Scrub(filled)
    scrub.step(1)
    filled.append([make("late", 1000)])
    damage(segments(filled)[-1], -1)
    found: list[tuple[int, str]] = []
    while scrub.rounds < 2:
        round = scrub.rounds
        found += [(round, problem.file) for problem in scrub.step(1)]
    assert found == [(1, segments(filled)[-1].name)]


def test_what_is_compacted_meanwhile_is_not_missing(filled: Collection) -> None:
    scrub = Scrub(filled)
    scrub.step(1)
    filled.delete([f"i{n}" for n in range(50)])
    filled.compact(everything=True)
    while scrub.rounds < 2:
        assert scrub.step(100_000) == []


def test_a_damaged_compacted_segment_is_named(filled: Collection, make: Make) -> None:
    filled.delete(["i46"])
    filled.compact(everything=True)
    (path,) = segments(filled)
    damage(path, path.read_bytes().index(make("i47", 47, 20, 20).features.tokens.tobytes()))
    (problem,) = one_round(filled)
    assert "image 'i47', row 46" in problem.message


def test_a_closed_collection_ends_it(filled: Collection) -> None:
    scrub = Scrub(filled)
    filled.close()
    for _ in range(2):
        with pytest.raises(CollectionError, match="is closed"):
            scrub.step(1 << 20)


def test_a_segment_that_was_cut_off_is_left_behind_as_the_documentation_says(filled: Collection) -> None:
    """docs/backup.md, Damage: its length back, then what is missing counts as damaged rows."""
    filled.close()
    path = segments(filled)[0]
    whole = path.stat().st_size
    os.truncate(path, whole - 20_000)
    with pytest.raises(CorruptError, match=f"has {whole - 20_000} bytes instead of {whole}"):
        Collection.open(filled.path)
    os.truncate(path, whole)
    with Collection.open(filled.path) as opened:
        problems = opened.verify().problems
        assert problems
        named = {f"i{n}" for n in range(20) if any(f"'i{n}'" in problem for problem in problems)}
        opened.delete([f"i{n}" for n in range(20)])
        opened.compact(everything=True)
        assert named
        assert opened.verify().ok
        assert opened.info().images == 80
