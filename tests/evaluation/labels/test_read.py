"""Which format a file or folder is in, and how images are found by name."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from setwise_engine.errors import InvalidInput, NotFound
from setwise_evaluation.labels import Labelled, LabelsFormat, read_labels


def labelled(*paths: str) -> Labelled:
    names = dict.fromkeys(paths, frozenset({"x"}))
    counts = {path: Counter(x=1) for path in paths}
    none: dict[str, frozenset[str]] = {path: frozenset() for path in paths}
    return Labelled(names, counts, none, {path: path for path in paths}, Path("labels.json"), LabelsFormat.COCO, "")


def test_an_image_is_found_by_the_end_of_its_path() -> None:
    labels = labelled("val2017/000139.jpg", "val2017/000285.jpg")
    for name in ("val2017/000139.jpg", "000139.jpg", "000139", "/data/coco/val2017/000139.png", "val2017\\000139.jpg"):
        assert labels.id_of(name) == "val2017/000139.jpg"
    assert labels.id_of("train2017/000139.jpg") is None
    assert labels.id_of("139.jpg") is None


def test_a_dot_in_an_id_is_no_suffix() -> None:
    assert labelled("v1.0", "v1.1").id_of("folder/v1.1") == "v1.1"


def test_a_name_that_fits_two_images_is_refused() -> None:
    labels = labelled("train2017/1.jpg", "val2017/1.jpg")
    with pytest.raises(InvalidInput, match=r"'1.jpg' may be 'train2017/1.jpg' or 'val2017/1.jpg' of labels.json"):
        labels.id_of("1.jpg")


def test_what_is_missing_unknown_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file or folder"):
        read_labels(tmp_path / "none.json")
    with pytest.raises(InvalidInput, match="'voc'; give one of coco, lvis"):
        read_labels(tmp_path, format="voc")
    with pytest.raises(InvalidInput, match="is a folder, and coco labels are a file"):
        read_labels(tmp_path, format="coco")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(InvalidInput, match="is a file, and folders labels are a folder"):
        read_labels(tmp_path / "a.json", format="folders")
    with pytest.raises(InvalidInput, match="no list of `images`"):
        read_labels(tmp_path / "a.json", format="coco")


def test_images_without_any_annotation_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        '{"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [], "categories": []}'
    )
    with pytest.raises(InvalidInput, match=r"none of the 1 images of .* has a label"):
        read_labels(tmp_path / "a.json")


def test_a_document_that_is_cut_off_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{\n "images": [{"id": 1,')
    with pytest.raises(InvalidInput, match=r"a.json is no JSON: .*\(line 2, column \d+\); is it cut off\?"):
        read_labels(tmp_path / "a.json")
