"""The sets of images that were asked with lately, so that asking again costs neither decoding nor a forward pass."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import TypeAlias

from setwise_engine.feature_set import FeatureSet
from setwise_server._meters import Meters

__all__ = ["Key", "SetCache", "key_of"]

Key: TypeAlias = tuple[str, bytes]
"""Fingerprint of the encoder, which stands for its network too, and hash of the image's bytes."""

EACH = 1024
"""Bytes that a kept set takes besides its tokens, roughly."""


def key_of(encoder: str, image: bytes) -> Key:
    """By BLAKE2b-256: nobody can make two images of one key, or another's image answer for his own."""
    return encoder, hashlib.blake2b(image, digest_size=32).digest()


class SetCache:
    """Sets by image; the least lately used ones leave first. Thread-safe. most: bytes that are kept, 0 for none.

    Whoever asks for a set that is not there makes it; those who ask for the same meanwhile wait for it.
    """

    def __init__(self, most: int, meters: Meters | None = None) -> None:
        self._most = most
        self._meters = meters or Meters()
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, FeatureSet] = OrderedDict()
        self._made: dict[Key, Future[FeatureSet | None]] = {}
        self._bytes = 0

    def find(self, key: Key) -> tuple[Future[FeatureSet | None], bool]:
        """The set, now or later, and whether the caller is to make it: then he must `settle` it in any case. The future
        holds None when the one who made it gave up; then ask again."""
        with self._lock:
            features, making = self._kept.get(key), self._made.get(key)
            mine = features is None and making is None
            if features is not None:
                self._kept.move_to_end(key)
            if making is None:
                making = Future()
            if mine:
                self._made[key] = making
        if features is not None:
            making.set_result(features)
        self._meters.looked_up(hit=not mine)
        return making, mine

    def settle(self, key: Key, features: FeatureSet | None) -> None:
        """The set was made, or with None was not."""
        with self._lock:
            making = self._made.pop(key)
            if features is not None:
                self._keep(key, features)
        making.set_result(features)

    def _keep(self, key: Key, features: FeatureSet) -> None:
        self._kept[key] = features
        self._bytes += _size(features)
        while self._bytes > self._most:
            _, left = self._kept.popitem(last=False)
            self._bytes -= _size(left)
        self._meters.cached_bytes = self._bytes


def _size(features: FeatureSet) -> int:
    return features.tokens.nbytes + EACH
