"""Seeded work on a collection, and the model beside it: what the collection must hold at each version."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from setwise_engine.collection import (
    Change,
    Collection,
    ImageRecord,
    Mode,
    Outcome,
    Put,
    Remove,
    SetMetadata,
    Settings,
    Snapshot,
)
from setwise_engine.encoder import Encoder
from setwise_engine.errors import AlreadyExists, EngineError, NotFound
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize, Stage

__all__ = ["DIMS", "Content", "Work", "content", "content_of", "created", "record", "tiny_encoder"]

DIMS = 8
_IDS = 14

Content = dict[str, tuple[bytes, str, bytes]]
"""Id -> bytes of the tokens, metadata as text, thumbnail."""


def tiny_encoder() -> Encoder:
    """An encoder that leaves tokens of eight numbers as they are."""
    basis = np.eye(DIMS, dtype="f4")
    return Encoder(model="", dims_in=DIMS, dims=DIMS, mean=None, projection=None, sigma=1.0, coarse_basis=basis)


def created(path: Path, *, disk: Any = None) -> Collection:
    """An empty collection of ready-made sets of eight numbers a token."""
    encoder = tiny_encoder()
    return Collection.create(
        path, Settings("", 0, "", DIMS, encoder.fingerprint, coarse="sqrtcov32"), encoder, disk=disk
    )


def record(id: str, seed: int, metadata: dict[str, Any] | None = None) -> ImageRecord:
    """An image of one to four tokens, a thumbnail now and then."""
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(1, 5))
    tokens = rng.standard_normal((rows, DIMS)).astype(np.float16)
    features = FeatureSet(tokens, Stage.ENCODED, "", tiny_encoder().fingerprint, Grid(rows, 1), ImageSize(640, 480))
    thumbnail = rng.bytes(int(rng.integers(1, 600))) if seed % 3 == 0 else b""
    return ImageRecord(id, features, {"seed": seed} if metadata is None else metadata, f"{seed:032x}", None, thumbnail)


def content(collection: Collection) -> Content:
    """Everything that the collection holds."""
    with collection.snapshot() as snapshot:
        return content_of(snapshot)


def content_of(snapshot: Snapshot) -> Content:
    """Everything that a version of it holds."""
    keys = snapshot.page("", 1_000_000)
    stored = snapshot.stored(keys, thumbnails=True)
    return {
        image.id: (snapshot.tokens(key).tobytes(), str(sorted(image.metadata.items())), image.thumbnail)
        for key, image in zip(keys, stored, strict=True)
    }


class Marks(Protocol):
    """Who is told of what happens: a recorder."""

    def begin(self, version: int) -> None:
        """Commits up to this version may be under way."""

    def done(self, version: int) -> None:
        """This version has been acknowledged."""


@dataclass
class Work:
    """Steps that `rng` chooses on a collection. states: content by version."""

    collection: Collection
    marks: Marks
    rng: random.Random
    states: dict[int, Content] = field(default_factory=dict)
    now: dict[str, ImageRecord] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if content(self.collection):
            raise ValueError("begin with an empty collection")
        self.states[self.version()] = {}

    def version(self) -> int:
        """The collection's present version."""
        with self.collection.snapshot() as snapshot:
            return snapshot.version

    def steps(self, count: int) -> None:
        """So many steps, most of them writes."""
        kinds: dict[Callable[[], int], int] = {
            self.mixed: 8,
            self.put: 2,
            self.delete: 1,
            self.describe: 1,
            self.compact: 2,
            self.index: 1,
        }
        for _ in range(count):
            [step] = self.rng.choices(list(kinds), list(kinds.values()))
            self.marks.begin(self.version() + 100)
            version = step()
            self.states[version] = {id: _as_stored(one) for id, one in self.now.items()}
            self.marks.done(version)

    def mixed(self) -> int:
        """Changes of all kinds in one commit, also several of one image, each with the outcome that it must have."""
        changes: list[Change] = []
        expected: list[Outcome | type[EngineError]] = []
        for id in self.rng.choices(self._some(6), k=self.rng.randrange(1, 9)):
            change = self.rng.choice([self._put, self._put, self._remove, self._set])(id)
            changes.append(change)
            expected.append(self._applied(change))
        written = self.collection.write(changes)
        found = [result if isinstance(result, Outcome) else type(result) for result in written.results]
        if found != expected:
            raise AssertionError(f"{changes} gave {found} instead of {expected}")
        return written.version

    def put(self) -> int:
        """Some images by `append`: new ones, and others in the place of old ones."""
        records = [record(id, self._seed()) for id in self._some(self.rng.randrange(1, 5))]
        self.now |= {one.id: one for one in records}
        return self.collection.append(records)

    def delete(self) -> int:
        """Some ids by `delete`, whether they are there or not; now and then all of them."""
        ids = list(self.now) if self.rng.random() < 0.2 else self._some(self.rng.randrange(1, 4))
        for id in ids:
            self.now.pop(id, None)
        return self.collection.delete(ids)

    def describe(self) -> int:
        """Other metadata for some images by `update`."""
        changes = {id: {"n": self._seed(), "of": ["a", 1.5, None]} for id in self._some(3) if id in self.now}
        self.now |= {id: replace(self.now[id], metadata=metadata) for id, metadata in changes.items()}
        return self.collection.update(changes)

    def compact(self) -> int:
        """Compaction, of what is due or of everything."""
        self.collection.compact(everything=self.rng.random() < 0.7)
        return self.version()

    def index(self) -> int:
        """A FAISS file for the present version."""
        self.collection.build_index()
        return self.version()

    def _put(self, id: str) -> Change:
        known = self.now.get(id)
        again = known is not None and self.rng.random() < 0.2
        one = record(id, int(known.content_hash, 16) if known and again else self._seed(), {"n": self.rng.randrange(3)})
        return Put(one, self.rng.choice(list(Mode)))

    def _remove(self, id: str) -> Change:
        return Remove(id)

    def _set(self, id: str) -> Change:
        whole = self.rng.random() < 0.5
        return SetMetadata(id, {"n": self.rng.randrange(3), "set": True}, whole, () if whole else ("seed",))

    def _applied(self, change: Change) -> Outcome | type[EngineError]:
        """What the change must come to; notes it in `now`."""
        match change:
            case Put(one, mode):
                return self._applied_put(one, mode)
            case Remove(id):
                return Outcome.REMOVED if self.now.pop(id, None) else Outcome.MISSING
            case SetMetadata(id, metadata, whole, removed):
                if (known := self.now.get(id)) is None:
                    return NotFound
                left = {} if whole else {name: value for name, value in known.metadata.items() if name not in removed}
                self.now[id] = replace(known, metadata=left | dict(metadata))
                return Outcome.UNCHANGED if self.now[id].metadata == known.metadata else Outcome.UPDATED

    def _applied_put(self, one: ImageRecord, mode: Mode) -> Outcome | type[EngineError]:
        known = self.now.get(one.id)
        if (mode is Mode.INSERT and known) or (mode is Mode.UPDATE and not known):
            return AlreadyExists if known else NotFound
        self.now[one.id] = one
        if known is None:
            return Outcome.INSERTED
        if known.content_hash != one.content_hash:
            return Outcome.REPLACED
        return Outcome.UNCHANGED if known.metadata == one.metadata else Outcome.UPDATED

    def _some(self, count: int) -> list[str]:
        return [f"image-{n:02}" for n in self.rng.sample(range(_IDS), count)]

    def _seed(self) -> int:
        return self.rng.randrange(1 << 30)


def _as_stored(one: ImageRecord) -> tuple[bytes, str, bytes]:
    return (one.features.tokens.tobytes(), str(sorted(one.metadata.items())), one.thumbnail)
