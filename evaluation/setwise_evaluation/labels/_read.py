"""Finding out which format labels are in, and reading them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from setwise_engine.errors import InvalidInput, NotFound
from setwise_evaluation.labels import _cityscapes, _coco, _folders, _lines
from setwise_evaluation.labels._types import Labelled, LabelsFormat

__all__ = ["read_labels"]


def read_labels(
    path: str | Path, *, format: LabelsFormat | str | None = None, kind: str | None = None, min_share: float = 0.0
) -> Labelled:
    """The labels of a data set's images.

    path: a COCO, LVIS or EgoObjects JSON file; Cityscapes' gtFine folder or one of its parts; a folder that holds one
    folder for each class; a file of JSON Lines or CSV, or the folder of composed scenes that holds one.
    format: which of these it is; None finds out from the content. kind: which labels. JSON: "categories"; EgoObjects
    also "instances" (each object that was filmed is a label of its own). Cityscapes: "categories", the 19 classes that
    its benchmark evaluates, or "all-classes", the 27 that are not void. JSON Lines: the name of a field that holds a
    list, such as "labels" (the default where lines have it), "categories" (otherwise) or "instances".
    min_share: smallest share of a label image's pixels that a class must have; 0 takes every class with a pixel.

    Raises NotFound for a missing file, and InvalidInput, naming the file and the record, for what cannot be read or
    does not fit together. Label images that cannot be read are left out and named in `left_out`.
    """
    source = Path(path)
    if not source.exists():
        raise NotFound(f"there is no file or folder {source}; give the labels' place", field="labels")
    if not 0.0 <= min_share < 1.0:
        raise InvalidInput(f"min_share is {min_share}; give a share from 0 to below 1", field="min_share")
    if (source / _lines.SCENES).is_file():
        source /= _lines.SCENES
    return _read(source, LabelsFormat(_known(format)) if format else None, kind, min_share)


def _read(source: Path, format: LabelsFormat | None, kind: str | None, min_share: float) -> Labelled:
    if source.is_dir():
        chosen = format or (LabelsFormat.CITYSCAPES if _cityscapes.fits(source) else LabelsFormat.FOLDERS)
        if chosen is LabelsFormat.CITYSCAPES:
            return _cityscapes.read(source, kind, min_share)
        if chosen is LabelsFormat.FOLDERS:
            return _folders.read(source, kind)
        raise InvalidInput(f"{source} is a folder, and {chosen} labels are a file; give the file", field="labels")
    if format in {LabelsFormat.CITYSCAPES, LabelsFormat.FOLDERS}:
        raise InvalidInput(f"{source} is a file, and {format} labels are a folder; give the folder", field="labels")
    if format is LabelsFormat.LINES:
        return _lines.read(source, kind)
    document = _document(source, wanted=format is not None)
    if document is None:
        return _lines.read(source, kind)
    return _coco.read(source, document, format or _coco.guess(document), kind)


def _known(format: str) -> str:
    if format not in set(LabelsFormat):
        raise InvalidInput(f"the format is {format!r}; give one of {', '.join(LabelsFormat)}", field="labels_format")
    return format


def _document(source: Path, *, wanted: bool) -> dict[str, Any] | None:
    """The file as one JSON object with images; None where it is lines of something, unless a document is wanted."""
    text = _lines.text_of(source)
    if not wanted and not text.lstrip().startswith("{"):
        return None
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        if not wanted and error.msg == "Extra data":
            return None
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidInput(f"{source} is no JSON: {error.msg} ({where}); is it cut off?", field="labels") from error
    if isinstance(document, dict) and isinstance(document.get("images"), list):
        return document
    if wanted:
        raise InvalidInput(f"{source} has no list of `images`; give COCO, LVIS or EgoObjects JSON", field="labels")
    return None
