"""COCO's JSON, and LVIS and EgoObjects, which are of the same form.

COCO (cocodataset.org, "Data format"): images {id, file_name}, annotations {image_id, category_id, iscrowd}, categories
{id, name}. A crowd (iscrowd 1) is one annotation for many objects: its label holds, its count is a lower bound.

LVIS (lvisdataset.org): images have coco_url, of which the last two parts are the path, in place of file_name (v0.5 has
both, with names of 2014 for files that are called otherwise since 2017). Its annotation is federated: an image's
neg_category_ids were looked for and are not there, those of its not_exhaustive_category_ids are there and not all of
them have annotations, and nobody looked for the rest. So a category that was not annotated exhaustively is a label,
with a count that is a lower bound; negative categories are no labels, and neither are those that nobody looked for:
label overlap understates what pictures share.

EgoObjects (Zhu et al., ICCV 2023): images have url, the file's name; an annotation names the object filmed
(instance_id) and may lack a category_id; names of categories may stand in the *_metadata.json beside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from setwise_engine.errors import InvalidInput
from setwise_evaluation.labels._types import Labelled, LabelsFormat, Record, gathered

__all__ = ["guess", "read"]

_KINDS = {
    LabelsFormat.COCO: ("categories",),
    LabelsFormat.LVIS: ("categories",),
    LabelsFormat.EGOOBJECTS: ("categories", "instances"),
}
Document = Mapping[str, Any]
_Number = int | str
"""An id: numbers in the data sets themselves, texts in what some tools write."""


def guess(document: Document) -> LabelsFormat:
    """Which of the three it is, by the fields of its first image."""
    image: Document = next(iter(document["images"]), {})
    if "url" in image and "file_name" not in image:
        return LabelsFormat.EGOOBJECTS
    federated = {"neg_category_ids", "not_exhaustive_category_ids"} & set(image)
    return LabelsFormat.LVIS if federated else LabelsFormat.COCO


def read(source: Path, document: Document, format: LabelsFormat, kind: str | None) -> Labelled:
    """The labels of one JSON file. Raises InvalidInput, naming the record, for what does not fit together."""
    kind = kind or "categories"
    if kind not in _KINDS[format]:
        raise InvalidInput(f"{format} labels have no {kind!r}; ask for {' or '.join(_KINDS[format])}", field="kind")
    names = _names(source, document, format) if kind == "categories" else None
    by_number: dict[_Number, Record] = {}
    records: dict[str, Record] = {}
    for place, image in _each(source, document, "images"):
        record = Record(_path(image, place, format))
        if record.path in records or image.get("id") in by_number:
            raise InvalidInput(f"{place}: {record.path} or its id came before; list every image once", field="labels")
        by_number[image["id"]] = records[record.path] = record
        if names is not None:
            _federated(image, record, names, place)
    for place, annotation in _each(source, document, "annotations"):
        name = _label(annotation, names, place, optional=format is LabelsFormat.EGOOBJECTS)
        if name is not None:
            _count(annotation, _of(annotation, by_number, place), name)
    return gathered(records, source, format, kind)


def _names(source: Path, document: Document, format: LabelsFormat) -> dict[_Number, str]:
    """Names of categories by number; EgoObjects' may stand in the metadata file beside."""
    documents = [(source, document)]
    if format is LabelsFormat.EGOOBJECTS and not document.get("categories"):
        documents = [(path, json.loads(path.read_text("utf-8"))) for path in source.parent.glob("*_metadata.json")]
        documents = [(path, {"categories": found.get("cat_det_cats", [])}) for path, found in documents]
    names: dict[_Number, str] = {}
    for path, found in documents:
        for place, category in _each(path, found, "categories"):
            if not isinstance(category.get("name"), str):
                raise InvalidInput(f"{place} has no `name`; give it one", field="labels")
            names[category["id"]] = category["name"]
    return names


def _each(source: Path, document: Document, field: str) -> Iterator[tuple[str, Document]]:
    """The records of a list with the words by which an error names them."""
    listed = document.get(field)
    if not isinstance(listed, list):
        advice = "files of test images have none; give those of another split" if field == "annotations" else "add it"
        raise InvalidInput(f"{source} has no list of `{field}`; {advice}", field="labels")
    for number, record in enumerate(listed):
        place = f"{source}: {field}[{number}]"
        if not isinstance(record, dict) or not isinstance(record.get("id"), int | str):
            raise InvalidInput(f"{place} is no object with an `id`; repair or remove it", field="labels")
        yield f"{place} (id {record['id']})", record


def _path(image: Document, place: str, format: LabelsFormat) -> str:
    """Where an image lies: file_name, EgoObjects' url, or the last two parts of LVIS's coco_url."""
    address = urlsplit(str(image.get("coco_url") or "")).path.strip("/").split("/")
    if format is LabelsFormat.LVIS and address[-1]:
        return "/".join(address[-2:])
    named = image.get("file_name") or image.get("url") or "/".join(address[-2:])
    if not isinstance(named, str) or not named:
        raise InvalidInput(f"{place} has no `file_name`, `coco_url` or `url`; say where its file is", field="labels")
    return named


def _federated(image: Document, record: Record, names: Mapping[_Number, str], place: str) -> None:
    """What LVIS says of an image as a whole: categories that are there, though not all objects are annotated."""
    for number in image.get("not_exhaustive_category_ids", ()):
        name = _name(number, names, f"{place}.not_exhaustive_category_ids")
        record.counts[name] += 0
        record.at_least.add(name)


def _label(annotation: Document, names: Mapping[_Number, str] | None, place: str, *, optional: bool) -> str | None:
    """The label of one annotation: the name of its category, or the object's own number where `names` is None."""
    field = "instance_id" if names is None else "category_id"
    if field not in annotation and not optional:
        raise InvalidInput(f"{place} has no `{field}`; repair or remove it", field="labels")
    if field not in annotation:
        return None
    return str(annotation[field]) if names is None else _name(annotation[field], names, place)


def _name(number: _Number, names: Mapping[_Number, str], place: str) -> str:
    if number not in names:
        raise InvalidInput(f"{place} names the category {number!r}, which `categories` lacks; add it", field="labels")
    return names[number]


def _of(annotation: Document, by_number: Mapping[_Number, Record], place: str) -> Record:
    number = annotation.get("image_id")
    if not isinstance(number, int | str) or number not in by_number:
        raise InvalidInput(f"{place} is of the image {number!r}, which `images` lacks; repair it", field="labels")
    return by_number[number]


def _count(annotation: Document, record: Record, name: str) -> None:
    record.counts[name] += 1
    if annotation.get("iscrowd"):
        record.at_least.add(name)
