"""COCO, LVIS and EgoObjects JSON, with the fields that the data sets' own files have."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from setwise_engine.errors import InvalidInput
from setwise_evaluation.labels import LabelsFormat, read_labels

Document = dict[str, Any]
CATEGORIES = [
    {"supercategory": "person", "id": 1, "name": "person"},
    {"supercategory": "kitchen", "id": 47, "name": "cup"},
    {"supercategory": "animal", "id": 17, "name": "cat"},
]


def coco() -> Document:
    """instances_val2017.json, shortened: cat and two cups; a crowd of persons; nothing."""
    images = [
        {
            "license": 4,
            "file_name": f"{number:012}.jpg",
            "coco_url": f"http://images.cocodataset.org/val2017/{number:012}.jpg",
            "height": 427,
            "width": 640,
            "date_captured": "2013-11-14 17:02:52",
            "flickr_url": "http://farm7.staticflickr.com/6116/x.jpg",
            "id": number,
        }
        for number in (139, 285, 632)
    ]
    annotations = [(1, 139, 17, 0), (2, 139, 47, 0), (3, 139, 47, 0), (900100000285, 285, 1, 1)]
    return {
        "info": {"year": 2017, "version": "1.0"},
        "licenses": [],
        "images": images,
        "annotations": [
            {"id": id, "image_id": image, "category_id": category, "iscrowd": crowd, "area": 1.5, "bbox": [1, 2, 3, 4]}
            for id, image, category, crowd in annotations
        ],
        "categories": list(CATEGORIES),
    }


def lvis() -> Document:
    """lvis_v1_val.json, shortened: no file_name; cups of image 1 and persons of image 2 not annotated exhaustively."""
    fields = ("id", "coco_url", "neg_category_ids", "not_exhaustive_category_ids")
    images = [
        (1, "http://images.cocodataset.org/val2017/000000397133.jpg", [1], [47]),
        (2, "http://images.cocodataset.org/train2017/000000397133.jpg", [], [1]),
    ]
    annotations = [(1, 1, 47), (2, 1, 47), (3, 1, 17)]
    return {
        "info": {"version": "v1.0"},
        "images": [{**dict(zip(fields, image, strict=True)), "height": 427, "width": 640} for image in images],
        "annotations": [
            {"id": id, "image_id": image, "category_id": category, "area": 1.5, "bbox": [1, 2, 3, 4]}
            for id, image, category in annotations
        ],
        "categories": [{**category, "frequency": "c", "synset": "cup.n.01"} for category in CATEGORIES],
    }


def egoobjects() -> Document:
    """EgoObjectsV1_unified_eval.json, shortened: url, instance_id, and an annotation without a category."""
    image = {"id": 299680365479923, "height": 1080, "width": 1920, "url": "14522AB1_05_74.jpg", "video_id": "05"}
    common = {"image_id": 299680365479923, "bbox": [1.0, 2.0, 3.0, 4.0], "area": 12.0}
    return {
        "info": {},
        "licenses": [],
        "categories": CATEGORIES,
        "images": [{**image, "group_id": "14522AB1", "main_category": "cup", "neg_category_ids": [17]}],
        "annotations": [
            {**common, "id": 1, "category_id": 47, "is_main": True, "instance_id": 6862},
            {**common, "id": 2, "category_id": 47, "is_main": False, "instance_id": 6869},
            {**common, "id": 3, "is_main": False, "instance_id": 6870},
        ],
    }


def written(folder: Path, document: Document, name: str = "labels.json") -> Path:
    (folder / name).write_text(json.dumps(document))
    return folder / name


def test_coco_gives_the_categories_of_every_image_and_counts_them(tmp_path: Path) -> None:
    found = read_labels(written(tmp_path, coco()))
    assert found.format is LabelsFormat.COCO
    assert found.labels == {
        "000000000139.jpg": {"cat", "cup"},
        "000000000285.jpg": {"person"},
        "000000000632.jpg": frozenset(),
    }
    assert found.counts["000000000139.jpg"] == Counter(cup=2, cat=1)


def test_a_crowd_is_a_label_whose_count_is_a_lower_bound(tmp_path: Path) -> None:
    found = read_labels(written(tmp_path, coco()))
    assert found.counts["000000000285.jpg"] == Counter(person=1)
    assert found.at_least["000000000285.jpg"] == {"person"}
    assert found.at_least["000000000139.jpg"] == frozenset()


def test_lvis_names_images_by_their_address_and_says_what_was_not_annotated_exhaustively(tmp_path: Path) -> None:
    found = read_labels(written(tmp_path, lvis()))
    assert found.format is LabelsFormat.LVIS
    assert found.labels == {"val2017/000000397133.jpg": {"cat", "cup"}, "train2017/000000397133.jpg": {"person"}}
    assert found.counts["val2017/000000397133.jpg"] == Counter(cup=2, cat=1)
    assert found.counts["train2017/000000397133.jpg"] == Counter(person=1)  # it is there, though nobody drew a box
    assert found.at_least["val2017/000000397133.jpg"] == {"cup"}


def test_lvis_0_5_goes_by_the_address_because_its_file_names_are_of_2014(tmp_path: Path) -> None:
    document = lvis()
    document["images"][0]["file_name"] = "COCO_val2014_000000397133.jpg"
    assert read_labels(written(tmp_path, document)).ids[0] == "val2017/000000397133.jpg"


def test_egoobjects_has_categories_and_instances(tmp_path: Path) -> None:
    path = written(tmp_path, egoobjects())
    categories, instances = read_labels(path), read_labels(path, kind="instances")
    assert categories.format is LabelsFormat.EGOOBJECTS
    assert categories.counts == {"14522AB1_05_74.jpg": Counter(cup=2)}
    assert instances.labels == {"14522AB1_05_74.jpg": {"6862", "6869", "6870"}}


def test_egoobjects_names_of_categories_may_stand_in_the_metadata_file_beside(tmp_path: Path) -> None:
    path = written(tmp_path, egoobjects() | {"categories": []}, "EgoObjectsV1_unified_eval.json")
    with pytest.raises(
        InvalidInput, match=r"annotations\[0\] \(id 1\) names the category 47, which `categories` lacks"
    ):
        read_labels(path)
    written(tmp_path, {"cat_det_cats": CATEGORIES, "inst_det_cats": []}, "EgoObjectsV1_unified_metadata.json")
    assert read_labels(path).labels == {"14522AB1_05_74.jpg": {"cup"}}


def test_ids_may_be_texts_as_some_tools_write_them(tmp_path: Path) -> None:
    document = coco()
    for image in document["images"]:
        image["id"] = str(image["id"])
    for annotation in document["annotations"]:
        annotation["image_id"] = str(annotation["image_id"])
    assert read_labels(written(tmp_path, document)).labels["000000000139.jpg"] == {"cat", "cup"}


@pytest.mark.parametrize(
    ("field", "place", "change", "message"),
    [
        ("annotations", 2, {"category_id": 99}, r"annotations\[2\] \(id 3\) names the category 99"),
        ("annotations", 0, {"image_id": 7}, r"annotations\[0\] \(id 1\) is of the image 7, which `images` lacks"),
        ("annotations", 1, {"category_id": None}, r"names the category None"),
        ("images", 1, {"id": 139}, r"images\[1\] \(id 139\): 000000000285.jpg or its id came before"),
        ("images", 0, {"id": None}, r"images\[0\] is no object with an `id`"),
        ("images", 0, {"file_name": "", "coco_url": ""}, "has no `file_name`, `coco_url` or `url`"),
        ("categories", 0, {"name": None}, r"categories\[0\] \(id 1\) has no `name`"),
    ],
)
def test_records_that_do_not_fit_are_named(
    tmp_path: Path, field: str, place: int, change: Document, message: str
) -> None:
    document = coco()
    document[field][place] = document[field][place] | change
    with pytest.raises(InvalidInput, match=message):
        read_labels(written(tmp_path, document))


def test_an_annotation_without_a_category_is_refused_but_in_egoobjects(tmp_path: Path) -> None:
    document = coco()
    del document["annotations"][0]["category_id"]
    with pytest.raises(InvalidInput, match="has no `category_id`"):
        read_labels(written(tmp_path, document))


def test_a_file_of_test_images_has_nothing_to_evaluate_with(tmp_path: Path) -> None:
    document = coco()
    del document["annotations"]
    with pytest.raises(InvalidInput, match="no list of `annotations`; files of test images have none"):
        read_labels(written(tmp_path, document))


def test_a_kind_that_the_format_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="coco labels have no 'instances'; ask for categories"):
        read_labels(written(tmp_path, coco()), kind="instances")
