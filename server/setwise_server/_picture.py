"""A picture that a caller asks with, on its way to its encoded set."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future

from setwise_engine.feature_set import FeatureSet, ImageSize
from setwise_server._batcher import Extracted, result_of
from setwise_server._cache import key_of
from setwise_server._networks import ImageEncoder

__all__ = ["Picture"]


class Picture:
    """One picture: `begin` it, begin others, so that they can share a forward pass, then `finish` it; `give_up` ends it
    in any case. Of several, those that are `mine` must be finished first: others may wait for them.

    Seconds: decode_s, extract_s (its share of the pass), encode_s; waited_s for a pass, or for another call that was
    making the same set. All are 0 when the set was kept.
    """

    def __init__(self, encoder: ImageEncoder, image: bytes) -> None:
        self._encoder, self._image = encoder, image
        self._key = key_of(encoder.featurizer.encoder.fingerprint, image)
        self._set: Future[FeatureSet | None] | None = None
        self._pass: Future[Extracted] | None = None
        self._size = ImageSize(0, 0)
        self.mine = False
        self.decode_s = self.extract_s = self.encode_s = self.waited_s = 0.0

    def begin(self, check: Callable[[], None]) -> None:
        """Decode it and send it to the network, unless its set is there or on its way. Raises what Featurizer.prepare
        and `check` raise."""
        self._set, self.mine = self._encoder.cache.find(self._key)
        if not self.mine:
            return
        try:
            started = time.perf_counter()
            prepared = self._encoder.featurizer.prepare(self._image, check=check)
            self.decode_s = time.perf_counter() - started
            self._size = prepared.image_size
            self._pass = self._encoder.batcher.submit(prepared.pixels)
        except BaseException:
            self.give_up()
            raise

    def finish(self, check: Callable[[], None]) -> FeatureSet:
        """The encoded set. Raises what `check`, the network and the encoder raise."""
        started = time.perf_counter()
        while not self.mine:
            assert self._set is not None
            features = result_of(self._set, check)
            if features is not None:
                self.waited_s += time.perf_counter() - started
                return features
            self.begin(check)  # whoever was making it gave up
        try:
            return self._made(check)
        except BaseException:
            self.give_up()
            raise

    def give_up(self) -> None:
        """Take it out of the queue, and let another call make the set, if this one has not."""
        if self.mine:
            self.mine = False
            if self._pass is not None:
                self._pass.cancel()
            self._encoder.cache.settle(self._key, None)

    def _made(self, check: Callable[[], None]) -> FeatureSet:
        assert self._pass is not None
        extracted = result_of(self._pass, check)
        self.extract_s = extracted.seconds
        self.waited_s += extracted.waited
        started = time.perf_counter()
        features = self._encoder.featurizer.encoded(extracted.tokens, self._size)
        self.encode_s = time.perf_counter() - started
        self.mine = False
        self._encoder.cache.settle(self._key, features)
        return features
