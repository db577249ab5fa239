"""JSON Lines, composed scenes among them, and CSV."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from setwise_engine.errors import InvalidInput
from setwise_evaluation.labels import LabelsFormat, read_labels

SCENES = """\
{"path": "s-00000.jpg", "id": "s-00000", "instances": ["a/x", "a/x", "b/y"], "categories": ["a", "a", "b"]}
{"path": "s-00001.jpg", "id": "s-00001", "instances": ["c/z"], "categories": ["c"], "background": "Dune"}
"""


def test_a_folder_of_composed_scenes_has_categories_and_instances_with_numbers(tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl").write_text(SCENES)
    categories, instances = read_labels(tmp_path), read_labels(tmp_path / "labels.jsonl", kind="instances")
    assert categories.format is LabelsFormat.LINES
    assert categories.kind == "categories"
    assert categories.labels == {"s-00000": {"a", "b"}, "s-00001": {"c"}}
    assert instances.counts["s-00000"] == Counter({"a/x": 2, "b/y": 1})
    assert instances.id_of("scenes/s-00000.jpg") == "s-00000"


def test_json_lines_and_csv_of_one_content_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "one", "labels": ["cat", "cat", "cup"]}\n\n{"id": "two", "labels": []}\n')
    (tmp_path / "a.csv").write_text("\ufeffid,labels,by\none,cat; cat;cup,me\ntwo,,you\n", encoding="utf-8")
    lines, table = read_labels(tmp_path / "a.jsonl"), read_labels(tmp_path / "a.csv")
    assert lines.labels == table.labels == {"one": {"cat", "cup"}, "two": frozenset()}
    assert lines.counts == table.counts
    assert lines.kind == "labels"


def test_a_path_may_stand_for_an_id(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("path,labels\nx/one.jpg,cat\n")
    found = read_labels(tmp_path / "a.csv")
    assert found.ids == ("x/one.jpg",)
    assert found.paths == {"x/one.jpg": "x/one.jpg"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a", "labels": ["x"]}\n{"id": "b", "labels": ["x"]', "line 2 is no JSON"),
        ('{"id": "a", "labels": ["x"]}\n[1]\n', "line 2 is no JSON object"),
        ('{"id": "a", "labels": ["x"]}\n{"labels": ["x"]}\n', "line 2 has neither `id` nor `path`"),
        ('{"id": "a", "labels": ["x"]}\n{"id": "a", "labels": ["x"]}\n', "line 2: 'a' came before"),
        ('{"id": "a", "tags": ["x"]}\n{"id": "b"}', "line 1 has no list of texts `labels`; its lists are: tags"),
        ('{"id": "a", "labels": [1]}\n{"id": "b"}', "line 1 has no list of texts `labels`"),
    ],
)
def test_lines_that_cannot_be_used_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(InvalidInput, match=message):
        read_labels(tmp_path / "a.jsonl")


def test_a_table_without_labels_and_a_file_that_is_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,tags\n1,x\n")
    with pytest.raises(InvalidInput, match="no column `labels`"):
        read_labels(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_bytes(b"id,labels\n\xff\xfe,x")
    with pytest.raises(InvalidInput, match="not UTF-8 text"):
        read_labels(tmp_path / "b.csv")
