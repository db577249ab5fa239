"""The images that a search weighs: stored ones, and sets that the caller brings along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from setwise_engine.collection import Snapshot
from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching import Half, half, square

__all__ = ["Contender", "Given", "Stored"]


class Contender(Protocol):
    """An image that may become a hit."""

    @property
    def id(self) -> str:
        """The name that the hit will carry; breaks ties."""

    def tokens(self) -> Half:
        """Its encoded tokens, (n, d)."""

    def square(self) -> float:
        """Its squared Frobenius norm, as `setwise_engine.matching.square` gives it."""

    def features(self) -> FeatureSet:
        """Its encoded set with all that is known of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """An image of the collection, read where it lies."""

    id: str
    key: int
    snapshot: Snapshot

    def tokens(self) -> Half:
        return self.snapshot.tokens(self.key)

    def square(self) -> float:
        return self.snapshot.square(self.key)

    def features(self) -> FeatureSet:
        return self.snapshot.features(self.key)


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """A set of the caller's, already made comparable."""

    id: str
    set: FeatureSet

    def tokens(self) -> Half:
        return half(self.set)

    def square(self) -> float:
        return square(self.tokens())

    def features(self) -> FeatureSet:
        return self.set
