"""Manifests give paths, ids and metadata; what is wrong in one is named by file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from setwise_engine.errors import InvalidInput, NotFound
from setwise_indexer._items import Item
from setwise_indexer._manifest import read_manifest


def read(folder: Path, text: str | bytes, name: str = "list.csv", *, keyed: bool = False) -> list[Item]:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return read_manifest(str(folder / name), keyed=keyed).items


def metadata(items: list[Item]) -> list[dict[str, Any]]:
    return [dict(item.metadata or {}) for item in items]


def test_paths_are_relative_to_the_manifest_and_ids_default_to_them(tmp_path: Path) -> None:
    first, second = read(tmp_path, "path\nb.jpg\nsub/../a.jpg\n")
    assert (first.id, first.path) == ("a.jpg", str(tmp_path / "a.jpg"))
    assert (second.id, second.path) == ("b.jpg", str(tmp_path / "b.jpg"))


def test_a_path_outside_keeps_its_absolute_form_as_id(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (item,) = read(tmp_path / "lists", "path\n../photos/a.jpg\n")
    assert item.id == item.path == str(tmp_path / "photos/a.jpg")


def test_ids_and_every_other_column_as_metadata(tmp_path: Path) -> None:
    items = read(tmp_path, "id,path,city,year\nn1,a.jpg,Ulm,1890\nn2,b.jpg,,1891\n")
    assert [item.id for item in items] == ["n1", "n2"]
    assert metadata(items) == [{"city": "Ulm", "year": 1890}, {"year": 1891}]


def test_a_column_is_numbers_only_if_all_its_cells_are(tmp_path: Path) -> None:
    items = read(tmp_path, "path,code,size,count,note\na,12,1,1,x\nb,007,2.5,-3,1\n")
    assert metadata(items) == [
        {"code": "12", "size": 1.0, "count": 1, "note": "x"},
        {"code": "007", "size": 2.5, "count": -3, "note": "1"},
    ]


def test_numbers_beyond_64_bits_or_range_stay_text(tmp_path: Path) -> None:
    (only,) = metadata(read(tmp_path, f"path,big,huge,long\na,{2**63},1e999,{'9' * 5000}\n"))
    assert only == {"big": float(2**63), "huge": "1e999", "long": "9" * 5000}


def test_csv_quotes_and_line_breaks_inside_cells(tmp_path: Path) -> None:
    (item,) = read(tmp_path, 'path,caption\r\n"a, b.jpg","two\r\nlines \u2028 ""here"""\r\n')
    assert item.id == "a, b.jpg"
    assert metadata([item]) == [{"caption": 'two\r\nlines \u2028 "here"'}]


def test_jsonl_keeps_types(tmp_path: Path) -> None:
    row = {"path": "a.jpg", "id": "ä", "year": 1890, "open": True, "score": 1.0, "tags": ["x", 1], "none": None}
    (item,) = read(tmp_path, "\n" + json.dumps(row) + "\n\n", "list.jsonl")
    assert item.id == "ä"
    assert metadata([item]) == [{"year": 1890, "open": True, "score": 1.0, "tags": ["x", 1], "none": None}]


def test_a_byte_order_mark_is_not_part_of_the_first_column(tmp_path: Path) -> None:
    assert [item.id for item in read(tmp_path, b"\xef\xbb\xbfpath\r\na.jpg\r\n")] == ["a.jpg"]


def test_keys_name_one_set_of_a_file(tmp_path: Path) -> None:
    items = read(tmp_path, "path,key,label\nsets.npy,0,cat\nsets.npy,1,dog\n", keyed=True)
    assert [(item.id, item.key) for item in items] == [("sets.npy/0", "0"), ("sets.npy/1", "1")]
    assert metadata(items) == [{"label": "cat"}, {"label": "dog"}]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("list.csv", "file\na.jpg\n", r"list\.csv line 1 has no column 'path', only file"),
        ("list.csv", "", r"line 1 has no column 'path', only nothing"),
        ("list.csv", "path,a,a\nx,1,2\n", r"line 1 names a column twice: a"),
        ("list.csv", "path,a\nx,1\ny\n", r"line 3 has 1 fields, the header has 2"),
        ("list.csv", "path,a\nx,1,2\n", r"line 2 has 3 fields, the header has 2"),
        ("list.csv", 'path,a\nx,"1\n', r"line 2 is no CSV"),
        ("list.csv", "path,a\n,1\n", r"line 2 has no 'path'"),
        ("list.csv", "path\n", r"lists no images"),
        ("list.csv", b"path\n\xff\n", r"not UTF-8 at byte 5"),
        ("list.jsonl", '{"path": "a"}\n{"path": \n', r"list\.jsonl line 2 is no JSON object"),
        ("list.jsonl", "[1]\n", r"line 1 is no JSON object but list"),
        ("list.jsonl", '{"path": 3}\n', r"line 1 has 'path' = 3; give text"),
        ("list.jsonl", '{"path": "a", "id": 3}\n', r"line 1 has 'id' = 3; give text"),
        ("list.jsonl", '{"path": "a", "x": NaN}\n', r"line 1 is no JSON object: NaN"),
        ("list.jsonl", '{"path": "a", "x": 1, "x": 2}\n', r"line 1 .*twice"),
        ("list.jsonl", '{"path": "a", "x": {"y": 1}}\n', r"line 1.*'x'"),
        ("list.jsonl", '{"path": "a", "x": 1e400}\n', r"line 1.*'x'"),
        ("list.jsonl", '{"path": "a\\u0000"}\n', r"line 1 has characters in 'path'"),
        ("list.jsonl", '{"path": "a", "id": "\\ud800"}\n', r"line 1 has characters in 'id'"),
        ("list.txt", "a.jpg\n", r"end it in \.csv or \.jsonl"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_line(tmp_path: Path, name: str, text: str | bytes, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        read(tmp_path, text, name)


def test_a_duplicate_id_names_both_lines(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"a\.jpg \(.*list\.csv line 2\) and .*b\.jpg \(.*list\.csv line 3\)"):
        read(tmp_path, "path,id\na.jpg,x\nb.jpg,x\n")


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no such manifest: .*nowhere\.csv"):
        read_manifest(str(tmp_path / "nowhere.csv"))
