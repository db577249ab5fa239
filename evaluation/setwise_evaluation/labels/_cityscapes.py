"""Cityscapes' label images: a class is a label of an image when enough of its pixels are of that class.

Files are called CITY_SEQUENCE_FRAME_gtFine_labelIds.png (gtCoarse likewise; labelTrainIds where the data set's own
script has written them) and belong to CITY_SEQUENCE_FRAME_leftImg8bit.png of the same SPLIT/CITY folder. Pixels hold
the ids of the table below (Cordts et al., CVPR 2016; github.com/mcordts/cityscapesScripts, helpers/labels.py). Numbers
of objects are not in these images: every count is 1 and a lower bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from setwise_engine.errors import InvalidInput
from setwise_evaluation.labels._types import Labelled, LabelsFormat, Record, gathered

__all__ = ["fits", "read"]

# fmt: off
# Ids of the classes that are not void, and train ids of the 19 that the benchmark evaluates.
_CLASSES = {
    7: "road", 8: "sidewalk", 9: "parking", 10: "rail track", 11: "building", 12: "wall", 13: "fence",
    14: "guard rail", 15: "bridge", 16: "tunnel", 17: "pole", 18: "polegroup", 19: "traffic light",
    20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car",
    27: "truck", 28: "bus", 29: "caravan", 30: "trailer", 31: "train", 32: "motorcycle", 33: "bicycle",
}
_EVALUATED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)  # in the order of train ids
# fmt: on
_VOID = {*range(7), 255}
"""unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, ground; 255 is -1, the license plate."""

_PATTERNS = ("*_labelIds.png", "*_labelTrainIds.png")
_KINDS = ("categories", "all-classes")


def fits(folder: Path) -> bool:
    """Whether there is a label image below the folder."""
    return any(True for pattern in _PATTERNS for _ in folder.rglob(pattern))


def read(folder: Path, kind: str | None, min_share: float) -> Labelled:
    """The classes of every label image below a folder; files that cannot be read are left out and named.

    Where both kinds of files lie, those with ids are read.
    """
    kind = kind or "categories"
    if kind not in _KINDS:
        raise InvalidInput(f"Cityscapes has no {kind!r}; ask for {' or '.join(_KINDS)}", field="kind")
    by_id = sorted(folder.rglob(_PATTERNS[0]))
    names = _table(kind, train=not by_id)
    known = {*_CLASSES, *_VOID} if by_id else {*names, 255}
    records: dict[str, Record] = {}
    left_out = []
    for path in by_id or sorted(folder.rglob(_PATTERNS[1])):
        try:
            found = _classes(path, names, known, min_share)
        except (OSError, ValueError, SyntaxError) as error:
            left_out.append(f"{path} is left out: {error}")
            continue
        image = _image(path.relative_to(folder))
        records[image] = Record(image)
        records[image].counts.update(found)
        records[image].at_least |= set(found)
    return gathered(records, folder, LabelsFormat.CITYSCAPES, kind, left_out)


def _table(kind: str, *, train: bool) -> Mapping[int, str]:
    """Names by what pixels hold."""
    if not train:
        return _CLASSES if kind == "all-classes" else {id: _CLASSES[id] for id in _EVALUATED}
    if kind == "all-classes":
        raise InvalidInput("train ids stand for the 19 evaluated classes only; give *_labelIds.png", field="kind")
    return {number: _CLASSES[id] for number, id in enumerate(_EVALUATED)}


def _classes(path: Path, names: Mapping[int, str], known: set[int], min_share: float) -> list[str]:
    """The classes with at least one pixel and that share of all pixels, void ones included in "all"."""
    with Image.open(path) as image:
        if image.mode not in {"L", "P"}:
            raise ValueError(f"it holds {image.mode} pixels, not ids of one byte; give *_labelIds.png")
        pixels = np.asarray(image)
    counts = np.bincount(pixels.ravel(), minlength=256)
    unknown = [int(id) for id in np.flatnonzero(counts) if id not in known]
    if unknown:
        raise ValueError(f"its pixels hold {unknown[0]}, which is no class of Cityscapes")
    least = max(1.0, min_share * pixels.size)
    return [name for id, name in names.items() if counts[id] >= least]


def _image(path: Path) -> str:
    """SPLIT/CITY/CITY_SEQUENCE_FRAME_leftImg8bit.png for a label image of that frame."""
    frame = path.name.split("_gt")[0]
    return (path.parent / f"{frame}_leftImg8bit.png").as_posix()
