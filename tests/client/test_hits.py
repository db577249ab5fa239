"""Answers are values: frozen, comparable, printable, and plain enough for JSON."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import setwise
from setwise._table import elide, printable, table


@pytest.fixture(scope="module")
def hits(local: setwise.Client, collage: Path) -> setwise.Hits:
    """An answer with everything."""
    return local.search(collage, k=4, scores=True, matches=True, thumbnails=True)


def test_hits_are_a_sequence(hits: setwise.Hits) -> None:
    assert len(hits) == 4
    assert [hit.id for hit in hits] == [hits[place].id for place in range(4)]
    assert next(reversed(hits)) == hits[-1]
    assert isinstance(hits[:2], setwise.Hits)
    assert (len(hits[:2]), hits[:2].certificate) == (2, hits.certificate)
    assert {hits[0].id, hits[1].id} == {"cat.jpg", "coffee.jpg"}


def test_scores_agree_with_the_kernel_that_ranked(hits: setwise.Hits) -> None:
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(hit.scores is not None and hit.scores.cosine == hit.score for hit in hits)


def test_matches_are_parallel_arrays_strongest_first(hits: setwise.Hits) -> None:
    matches = hits[0].matches
    assert matches is not None and len(matches) == 100
    assert sorted(matches.query_tokens) == sorted(matches.hit_tokens) == list(range(100))
    assert (matches.affinities[:-1] >= matches.affinities[1:]).all()
    assert matches.query_boxes.shape == matches.hit_boxes.shape == (100, 4)
    assert matches.query_boxes.max() == 420 and tuple(matches.query_image_size or ()) == (300, 420)


def test_a_hit_carries_only_what_was_asked_for(local: setwise.Client) -> None:
    hit = local.search(setwise.Id("cat.jpg"), k=1, metadata=False)[0]
    assert (hit.metadata, hit.scores, hit.matches, hit.thumbnail) == ({}, None, None, None)
    assert local.search(setwise.Id("cat.jpg"), k=1, metadata=["half"])[0].metadata.keys() == {"half"}


def test_thumbnails_are_pictures(hits: setwise.Hits) -> None:
    thumbnail = hits[0].thumbnail
    assert thumbnail is not None and max(thumbnail.size) == 256


def test_the_certificate_says_what_was_proven(hits: setwise.Hits) -> None:
    proven = hits.certificate
    assert (proven.scope, proven.collection_size) == ("collection", 10)
    assert proven.pruned + proven.solved == proven.recalled == 10
    assert proven.kth_score == hits[-1].score


def test_values_are_frozen(hits: setwise.Hits) -> None:
    for value in (hits, hits[0], hits.certificate, hits.timings, hits[0].scores, hits[0].matches, hits.query):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, dataclasses.fields(value)[0].name, None)


def test_equality_ignores_how_long_it_took(hits: setwise.Hits, local: setwise.Client, collage: Path) -> None:
    again = local.search(collage, k=4, scores=True, matches=True, thumbnails=True)
    assert again == hits and again.timings != hits.timings
    assert local.search(collage, k=3) != hits


def test_answers_survive_copy_and_pickle(hits: setwise.Hits) -> None:
    assert copy.deepcopy(hits) == hits
    assert pickle.loads(pickle.dumps(hits)) == hits


def test_everything_turns_into_json(hits: setwise.Hits, local: setwise.Client) -> None:
    values: list[Any] = [hits, hits[0], local.compare(setwise.Id("cat.jpg"), setwise.Id("brick.jpg"))]
    values += [local.get("cat.jpg"), local.info(), *local.collections()]
    for value in values:
        assert json.loads(json.dumps(value.to_dict())) == value.to_dict()


def test_reprs_are_for_people(hits: setwise.Hits, local: setwise.Client) -> None:
    first, head, *rows = repr(hits).splitlines()
    assert first.startswith("<Hits 4 for cat over coffee.png: cosine, exact over all 10 images, ")
    assert head.split() == ["score", "id"]
    assert [row.split() for row in rows] == [[f"{n}", f"{hit.score:.4f}", hit.id] for n, hit in enumerate(hits, 1)]
    assert "100 pairs" in repr(hits[0].matches) and "thumbnail" not in repr(hits[0])
    assert "100 tokens x 256 float16, encoded, grid 10x10" in repr(local.get("cat.jpg", features=True).features)
    assert len(repr(local)) < 200


def test_tables_are_aligned_whatever_the_names_are() -> None:
    rows = [["1", "日本語.jpg", "x"], ["10", "e\u0301te\u0301.jpg", "x"], ["100", "a" * 90, "x"]]
    lines = table(["", "id", "last"], rows, right={0}, most=20)
    assert lines[2].startswith(" 10  e\u0301te\u0301.jpg")
    wide_letters, combining_marks = 3, 2
    assert lines[0].index("last") == lines[1].index("x") + wide_letters == lines[2].index("x") - combining_marks
    assert "…" in lines[3] and lines[3].endswith("  x")


def test_long_names_lose_their_middle() -> None:
    assert elide("short", 10) == "short"
    assert elide("2024/holiday/beach-0001.jpg", 16) == "2024/…h-0001.jpg"
    assert len(elide("x" * 100, 16)) == 16


def test_names_cannot_steer_a_terminal() -> None:
    assert printable("a\x1b[31m\nb\udc80") == "a\\x1b[31m\\nb\\udc80"
