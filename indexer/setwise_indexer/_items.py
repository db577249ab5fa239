"""What is to be indexed: one item an image, and what went wrong with those that cannot be."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from setwise_engine.collection import MetadataValue
from setwise_engine.errors import InvalidInput

__all__ = ["Failure", "Item", "Listing", "Metadata", "plain_path", "printable", "refuse_duplicates"]

Metadata = Mapping[str, MetadataValue]


def printable(text: str) -> str:
    """`text` with bytes that are no UTF-8 (file names may hold any) written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def plain_path(path: str | Path) -> Path:
    """The absolute path without "." and "..", which must not reach ids; links stay as they are."""
    return Path(os.path.normpath(Path(path).absolute()))


@dataclass(frozen=True, slots=True)
class Item:
    """One image, or one ready-made set, that a run was asked for.

    id: its name in the collection.
    path: absolute path of the file.
    metadata: from a manifest; None where no manifest speaks, and then what is stored stays.
    key: which set of a file of many (`name`, `3` or `name/3`); empty when the file is one image or one set.
    shape: tokens and dimensions of a ready-made set as its file declares them; None for images.
    origin: the manifest's file and line; empty elsewhere.
    hash: of the content that a collection which is built anew has of it; empty elsewhere.
    """

    id: str
    path: str
    metadata: Metadata | None = None
    key: str = ""
    shape: tuple[int, int] | None = None
    origin: str = ""
    hash: str = ""

    @property
    def place(self) -> str:
        """The file and, in a file of many sets, which of them."""
        return f"{self.path}#{self.key}" if self.key else self.path

    def __str__(self) -> str:
        return printable(f"{self.place} ({self.origin})" if self.origin else self.place)


@dataclass(frozen=True, slots=True)
class Failure:
    """An image that could not be indexed (or a folder that could not be read; then the id is empty), and why."""

    path: str
    id: str
    reason: str


@dataclass(slots=True)
class Listing:
    """Everything the sources hold, in order of id.

    complete is False when a folder or file of sets could not be read: then nothing may be pruned.
    other counts the files of folders that were passed over, by suffix.
    """

    items: list[Item] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    complete: bool = True
    other: Counter[str] = field(default_factory=Counter)


def refuse_duplicates(items: Sequence[Item]) -> None:
    """Raise InvalidInput naming both files when two items have one id."""
    seen: dict[str, Item] = {}
    clashes = [(seen[item.id], item) for item in items if seen.setdefault(item.id, item) is not item]
    if clashes:
        first, second = clashes[0]
        more = f" ({len(clashes) - 1} more such pairs)" if len(clashes) > 1 else ""
        raise InvalidInput(
            f"two files have the id {printable(first.id)!r}: {first} and {second}{more}; nothing was indexed. "
            "Index a folder that holds both, or give ids in a manifest",
            field="id",
        )
