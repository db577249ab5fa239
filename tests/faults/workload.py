"""Seeded work on a collection, and the model beside it: what the collection must hold at each version."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from setwise_engine.collection import Collection, ImageRecord, Settings
from setwise_engine.encoder import Encoder
from setwise_engine.feature_set import FeatureSet, Grid, ImageSize, Stage

__all__ = ["DIMS", "Content", "Work", "content", "created", "record", "tiny_encoder"]

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
    now: Content = field(default_factory=dict)
    seeds: int = 0

    def __post_init__(self) -> None:
        self.now = content(self.collection)
        self.states[self.version()] = dict(self.now)

    def version(self) -> int:
        """The collection's present version."""
        with self.collection.snapshot() as snapshot:
            return snapshot.version

    def steps(self, count: int) -> None:
        """So many steps, most of them puts."""
        kinds: dict[Callable[[], int], int] = {
            self.put: 5,
            self.delete: 2,
            self.describe: 2,
            self.index: 1,
        }
        for _ in range(count):
            [step] = self.rng.choices(list(kinds), list(kinds.values()))
            self.marks.begin(self.version() + 100)
            version = step()
            self.states[version] = dict(self.now)
            self.marks.done(version)

    def put(self) -> int:
        """Some images, new ones and others in the place of old ones, in one commit."""
        records = [self._record(id) for id in self._some(self.rng.randrange(1, 5))]
        for one in records:
            self.now[one.id] = _as_stored(one)
        return self.collection.append(records)

    def delete(self) -> int:
        """Some ids, whether they are there or not; now and then all of them."""
        ids = list(self.now) if self.rng.random() < 0.1 else self._some(self.rng.randrange(1, 4))
        for id in ids:
            self.now.pop(id, None)
        return self.collection.delete(ids)

    def describe(self) -> int:
        """Other metadata for some images."""
        changes = {id: {"n": self._seed(), "of": ["a", 1.5, None]} for id in self._some(3) if id in self.now}
        for id, metadata in changes.items():
            tokens, _, thumbnail = self.now[id]
            self.now[id] = (tokens, str(sorted(metadata.items())), thumbnail)
        return self.collection.update(changes)

    def index(self) -> int:
        """A FAISS file for the present version."""
        return self.collection.build_index().version

    def _record(self, id: str) -> ImageRecord:
        return record(id, self._seed())

    def _some(self, count: int) -> list[str]:
        return [f"image-{n:02}" for n in self.rng.sample(range(_IDS), count)]

    def _seed(self) -> int:
        self.seeds += 1
        return self.rng.randrange(1 << 30)


def _as_stored(one: ImageRecord) -> tuple[bytes, str, bytes]:
    return (one.features.tokens.tobytes(), str(sorted(one.metadata.items())), one.thumbnail)
