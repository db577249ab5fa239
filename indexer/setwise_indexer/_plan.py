"""What has to be done: the listing against what the collection already holds."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from setwise_engine.collection import Known, Source
from setwise_indexer._items import Item, Metadata, printable

__all__ = ["Job", "Plan", "make_plan", "same_metadata", "source_of"]


@dataclass(frozen=True, slots=True)
class Job:
    """One item to read; known is what the collection holds under its id, None when it is new."""

    item: Item
    known: Known | None = None

    @property
    def metadata(self) -> Metadata:
        """What is to be stored: the manifest's word, else what is stored already."""
        if self.item.metadata is not None:
            return self.item.metadata
        return self.known.metadata if self.known else {}

    @property
    def metadata_changed(self) -> bool:
        """Whether the manifest says something else than the collection."""
        return self.known is None or not same_metadata(self.metadata, self.known.metadata)


@dataclass(slots=True)
class Plan:
    """jobs: to be read; unchanged: how many need nothing; metadata: id to new metadata where only that changed."""

    jobs: list[Job] = field(default_factory=list)
    unchanged: int = 0
    metadata: dict[str, Metadata] = field(default_factory=dict)


def make_plan(items: Sequence[Item], known: Mapping[str, Known]) -> Plan:
    """Sort items into jobs, unchanged ones (path, size and time as stored) and those with new metadata only."""
    plan = Plan()
    for item in items:
        job = Job(item, known.get(item.id))
        if job.known is None or job.known.source is None or job.known.source != source_of(item):
            plan.jobs.append(job)
        elif job.metadata_changed:
            plan.metadata[item.id] = job.metadata
        else:
            plan.unchanged += 1
    return plan


def source_of(item: Item, status: os.stat_result | None = None) -> Source | None:
    """Where an item comes from, as it is on disk now; None when it cannot be seen (reading it will say why)."""
    try:
        status = status or os.stat(item.path)  # noqa: PTH116 - a million paths
    except (OSError, ValueError):
        return None
    return Source(printable(item.place), status.st_size, status.st_mtime_ns)


def same_metadata(one: Metadata, other: Metadata) -> bool:
    """Equality that tells 1, 1.0 and True apart, as JSON does."""
    return json.dumps(dict(one), sort_keys=True) == json.dumps(dict(other), sort_keys=True)
