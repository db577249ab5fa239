"""What a run did, and which images failed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TextIO

from setwise_indexer._items import Failure, Item

__all__ = ["Report", "Summary"]

_NAMED = 20


class Report:
    """Counts failures, keeps the first of them, and writes all to the file of `--report`, one JSON object a line."""

    def __init__(self, file: Path | None) -> None:
        """Raises OSError at once when the file cannot be written."""
        self.count = 0
        self.first: list[Failure] = []
        self._file: TextIO | None = file.open("w", encoding="utf-8") if file else None

    def add(self, failures: Iterable[Failure]) -> None:
        """Note images that failed."""
        for failure in failures:
            self.count += 1
            if len(self.first) < _NAMED:
                self.first.append(failure)
            if self._file:
                line = {"path": failure.path, "id": failure.id, "reason": failure.reason}
                self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
                self._file.flush()

    def __enter__(self) -> Report:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file:
            self._file.close()


@dataclass(slots=True)
class Summary:
    """The result of `index`: numbers of images, and the first failures of how many.

    indexed: new; replaced: their bytes had changed; unchanged: nothing to do (moved or touched files included);
    metadata: of stored images, new metadata; pruned: removed because the sources no longer hold them.
    images: in the collection now. seconds: of the whole run; busy: of reading and extracting.
    changed: files that are not what the collection that is built anew has of them (they are indexed as they are now):
    their number, and the first of them. notes: what else the user should know.
    """

    path: Path
    indexed: int = 0
    replaced: int = 0
    unchanged: int = 0
    metadata: int = 0
    pruned: int = 0
    failed: int = 0
    images: int = 0
    seconds: float = 0.0
    busy: float = 0.0
    changed: int = 0
    failures: list[Failure] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Images extracted per second of reading and extracting: without loading the model or fitting an encoder."""
        return (self.indexed + self.replaced) / self.busy if self.busy else 0.0

    def note_change(self, item: Item, hash: str) -> None:
        """Notes an image whose bytes are not those that its collection had, now that they have been read."""
        if item.hash and item.hash != hash:
            self.changed += 1
            if len(self.changes) < _NAMED:
                self.changes.append(str(item))

    def __str__(self) -> str:
        speed = f" ({self.rate:.1f} images/s after the start)" if self.indexed + self.replaced else ""
        lines = [
            f"{self.path}: {self.images} images; {self.indexed} indexed, {self.replaced} replaced, "
            f"{self.unchanged} unchanged, {self.metadata} with new metadata, {self.pruned} pruned, "
            f"{self.failed} failed in {self.seconds:.1f} s{speed}",
            *self.notes,
            *(f"changed since it was stored, indexed as it is now: {path}" for path in self.changes),
            *(f"failed: {failure.path}: {failure.reason}" for failure in self.failures),
        ]
        if self.changed > len(self.changes):
            lines.append(f"... and {self.changed - len(self.changes)} more changed")
        if self.failed > len(self.failures):
            lines.append(f"... and {self.failed - len(self.failures)} more failed; --report FILE names them all")
        return "\n".join(lines)
