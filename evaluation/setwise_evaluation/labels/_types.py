"""What every reader returns."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path, PurePosixPath

from setwise_engine.errors import InvalidInput

__all__ = ["IMAGE_SUFFIXES", "Labelled", "LabelsFormat", "Record", "gathered"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


class LabelsFormat(StrEnum):
    """Where labels come from.

    coco: instances_*.json. lvis: lvis_v*.json. egoobjects: EgoObjectsV1_unified_*.json. cityscapes: a folder of
    *_labelIds.png or *_labelTrainIds.png. folders: a folder for each class. lines: JSON Lines or CSV, the composed
    scenes' labels.jsonl included.
    """

    COCO = "coco"
    LVIS = "lvis"
    EGOOBJECTS = "egoobjects"
    CITYSCAPES = "cityscapes"
    FOLDERS = "folders"
    LINES = "lines"


@dataclass(slots=True)
class Record:
    """The labels of one image while they are read; `at_least`: names of which there may be more than were counted."""

    path: str
    counts: Counter[str] = field(default_factory=Counter)
    at_least: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Labelled:
    """The labels of a data set's images.

    labels: which labels each image carries, by the image's id. counts: how many things of each there are, by the same
    ids (1 where the format does not count). at_least: of these counts, the labels that may be there more often, as with
    COCO's crowds and LVIS's categories that were not annotated exhaustively. paths: where an image lies, relative to
    the data set's folder of images. left_out: what could not be used, a sentence each. source, format and kind: what
    was read, and which of its labels ("categories", "instances", ...).
    """

    labels: Mapping[str, frozenset[str]]
    counts: Mapping[str, Counter[str]]
    at_least: Mapping[str, frozenset[str]]
    paths: Mapping[str, str]
    source: Path
    format: LabelsFormat
    kind: str
    left_out: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """The images' ids, in the order of the source."""
        return tuple(self.labels)

    def id_of(self, name: str) -> str | None:
        """The id that stands for an image called `name` (an id, a path, a file name), or None.

        Names are compared from their ends: `000139.jpg`, `val/000139` and `/data/val/000139.jpg` are one image, with or
        without the suffix of the file. Raises InvalidInput when several images fit.
        """
        if name in self.labels:
            return name
        wanted = _parts(name)
        fitting = {id for id, parts in self._by_end.get(wanted[-1], ()) if _agree(parts, wanted)}
        if len(fitting) > 1:
            first, second, *_ = sorted(fitting)
            raise InvalidInput(
                f"{name!r} may be {first!r} or {second!r} of {self.source}; name images by more of their path",
                field="labels",
            )
        return next(iter(fitting), None)

    @cached_property
    def _by_end(self) -> dict[str, list[tuple[str, list[str]]]]:
        """Ids and their parts by the last part; an image may be known by its path as well as by its id."""
        table: dict[str, list[tuple[str, list[str]]]] = defaultdict(list)
        for id, path in self.paths.items():
            for parts in [_parts(id)] if id == path else [_parts(id), _parts(path)]:
                table[parts[-1]].append((id, parts))
        return table


def gathered(
    records: Mapping[str, Record], source: Path, format: LabelsFormat, kind: str, left_out: Iterable[str] = ()
) -> Labelled:
    """The records of all images as one value. Raises InvalidInput when there is none, or no label."""
    left_out = tuple(left_out)
    if not records:
        why = f": {left_out[0]}" if left_out else ""
        raise InvalidInput(f"{source} labels no image{why}; check that it is the file or folder meant", field="labels")
    if not any(record.counts for record in records.values()):
        raise InvalidInput(
            f"none of the {len(records)} images of {source} has a label; give the file with annotations", field="labels"
        )
    return Labelled(
        labels={id: frozenset(record.counts) for id, record in records.items()},
        counts={id: Counter({name: max(1, n) for name, n in record.counts.items()}) for id, record in records.items()},
        at_least={id: frozenset(record.at_least) for id, record in records.items()},
        paths={id: record.path for id, record in records.items()},
        source=source,
        format=format,
        kind=kind,
        left_out=left_out,
    )


def _parts(name: str) -> list[str]:
    """The parts of a path, the last one without the suffix of an image file."""
    path = PurePosixPath(name.replace("\\", "/"))
    last = path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name
    return [*path.parts[:-1], last]


def _agree(a: list[str], b: list[str]) -> bool:
    shared = min(len(a), len(b))
    return a[-shared:] == b[-shared:]
