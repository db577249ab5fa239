"""A folder for each class, as ImageNet and torchvision's ImageFolder have it."""

from __future__ import annotations

from pathlib import Path

from setwise_engine.errors import InvalidInput
from setwise_evaluation.labels._types import IMAGE_SUFFIXES, Labelled, LabelsFormat, Record, gathered

__all__ = ["read"]


def read(folder: Path, kind: str | None) -> Labelled:
    """Every image below the folder; its label is the first folder on the way to it. Loose images are left out.

    Raises InvalidInput where these folders are no classes: a single one, or parts such as train and val.
    """
    if kind not in {None, "categories"}:
        raise InvalidInput(f"folders have no {kind!r}; their names are categories", field="kind")
    records: dict[str, Record] = {}
    left_out = []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES):
        inside = path.relative_to(folder)
        if len(inside.parts) == 1:
            left_out.append(f"{path} is left out: it lies in no class's folder")
            continue
        records[inside.as_posix()] = Record(inside.as_posix())
        records[inside.as_posix()].counts[inside.parts[0]] = 1
    _check_classes(folder, sorted({name for record in records.values() for name in record.counts}))
    return gathered(records, folder, LabelsFormat.FOLDERS, "categories", left_out)


def _check_classes(folder: Path, names: list[str]) -> None:
    if len(names) == 1 or (names and _PARTS.issuperset(names)):
        raise InvalidInput(
            f"the images of {folder} lie in {' and '.join(names)}, which would be their only labels; give the folder "
            "that holds a folder for each class (Cityscapes: gtFine)",
            field="labels",
        )


_PARTS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
