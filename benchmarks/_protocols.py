"""The two protocols of the quality benchmark: their scenes, labels and collections."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from _service import indexed
from _shared import composed

from setwise_evaluation.scenes import Split

__all__ = ["BOOTSTRAP_SEED", "DATABASE_SEED", "PROTOCOLS", "QUERY_SEED", "Labels", "Protocol", "labels_of"]

# Fixed before the first run; the defaults were chosen on scenes of seed 1.
DATABASE_SEED = 101
QUERY_SEED = 202
BOOTSTRAP_SEED = 303

PROTOCOLS = {
    "instance": (Split.INSTANCE_DATABASE, Split.INSTANCE_QUERY),
    "category": (Split.CATEGORY_DATABASE, Split.CATEGORY_QUERY),
}
Labels = Mapping[str, frozenset[str]]


class Protocol:
    """The scenes, labels and collection of one protocol."""

    def __init__(self, name: str, work: Path, images: int, queries: int) -> None:
        self.name = name
        self.split, self.query_split = PROTOCOLS[name]
        self.folder = composed(work, self.split, images, DATABASE_SEED)
        self.query_folder = composed(work, self.query_split, queries, QUERY_SEED)
        self.path = indexed(work / f"{name}.setwise", "--manifest", self.folder / "labels.jsonl")
        self.queries = sorted(self.query_folder.glob("*.jpg"))

    def labels(self, kind: str) -> tuple[Labels, list[frozenset[str]]]:
        """Labels of the database by id, and of the queries in order."""
        database = labels_of(self.folder, kind)
        return database, list(labels_of(self.query_folder, kind).values())


def labels_of(folder: Path, kind: str) -> Labels:
    """Labels of composed scenes by id; kind: "instances" or "categories"."""
    lines = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    return {line["id"]: frozenset(line[kind]) for line in lines}
