"""Fitting the encoder of a collection that waits for it to sample images that a caller sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from setwise_engine.encoder import Encoder, fit_encoder
from setwise_engine.errors import Incompatible, InvalidInput
from setwise_engine.feature_set import Stage
from setwise_engine.features import ModelInfo, PreparedImage, prepare_image
from setwise_proto.v1 import images_pb2
from setwise_server._batcher import result_of
from setwise_server._call import Call
from setwise_server._errors import LimitError, at
from setwise_server._making import DEFAULT_DIMS
from setwise_server._networks import Network, Networks
from setwise_server._tensors import features_from_proto
from setwise_server._waiting import Waiting
from setwise_server.settings import Limits

__all__ = ["Sample"]

SAMPLE = 500
SAMPLE_BYTES = 256 * 2**20
BATCH = 8

Tokens = NDArray[np.floating[Any]]


class Sample:
    """Raw token sets of sample images, as many as an encoder is fitted to: 500, or 256 MiB of tokens."""

    def __init__(self, waiting: Waiting, networks: Networks, limits: Limits) -> None:
        """Loads the network of the collection, unless it is for ready-made sets."""
        self._network: Network | None = networks.offered(waiting.model) if waiting.model else None
        self._waiting = waiting
        self._decode = networks.decode
        self._limits = limits
        self._sets: list[Tokens] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._sets)

    @property
    def info(self) -> ModelInfo | None:
        """The network that made the tokens; None for ready-made sets."""
        return self._network.extractor.info if self._network else None

    @property
    def full(self) -> bool:
        """Whether more would not be used."""
        return len(self._sets) >= SAMPLE or self._bytes >= SAMPLE_BYTES

    def add(self, images: Sequence[images_pb2.ImageInput], call: Call) -> None:
        """Take more samples. Raises InvalidInput, Incompatible naming the one at fault, and what `call` raises."""
        for first in range(0, len(images), BATCH):
            if self.full:
                return
            call.check()
            self._add(images[first : first + BATCH], first, call)

    def fit(self) -> Encoder:
        """The encoder. Raises InvalidInput for no samples and when they do not span the dims that were asked for, or
        that are usual: an encoder stays, so that a sample which is too small must not decide its dims in silence."""
        model = self.info.fingerprint if self.info else ""
        if not any(len(tokens) for tokens in self._sets):
            raise InvalidInput("an encoder cannot be fitted to no tokens; send sample images", field="data.images")
        encoder = fit_encoder(self._sets, model=model, dims=self._waiting.dims or DEFAULT_DIMS)
        wanted = self._waiting.dims or min(DEFAULT_DIMS, max(1, encoder.dims_in - 1))
        if encoder.dims < wanted:
            samples = "this one sample spans" if len(self) == 1 else f"these {len(self)} samples span"
            raise InvalidInput(
                f"the collection was made for {wanted} dims, {samples} only {encoder.dims}; send more of them (some "
                f"hundreds are best), or make the collection with {encoder.dims} dims",
                field="data.images",
            )
        return encoder

    def _add(self, images: Sequence[images_pb2.ImageInput], first: int, call: Call) -> None:
        pixels: list[PreparedImage] = []
        for number, image in enumerate(images, first):
            with at(f"data.images[{number}]"):
                if image.WhichOneof("content") == "features":
                    self._keep(self._raw(image))
                else:
                    pixels.append(self._prepare(image))
        if pixels and self._network is not None:
            passes = [self._network.batcher.submit(image.pixels, storing=True) for image in pixels]
            try:
                for each in passes:
                    self._keep(result_of(each, call.check).tokens)
            finally:
                for each in passes:
                    each.cancel()

    def _keep(self, tokens: Tokens) -> None:
        self._sets.append(tokens)
        self._bytes += tokens.nbytes

    def _prepare(self, image: images_pb2.ImageInput) -> PreparedImage:
        if image.WhichOneof("content") is None:
            raise InvalidInput("the sample is empty; give an image or a feature set")
        if self._network is None:
            raise Incompatible("the collection is for ready-made feature sets; give one", field="image")
        allowed = self._limits.max_image_bytes
        if len(image.image) > allowed:
            message = (
                f"the image has {len(image.image)} bytes; this server takes at most {allowed}. Send a smaller copy"
            )
            raise LimitError(message, field="image", limit="max_image_bytes", allowed=allowed)
        with at("image"):
            return prepare_image(image.image, self._network.extractor.info.image_size, limits=self._decode)

    def _raw(self, image: images_pb2.ImageInput) -> Tokens:
        with at("features"):
            features = features_from_proto(image.features, self._limits)
            wanted = self.info.fingerprint if self.info else ""
            if features.stage is not Stage.RAW or features.model != wanted:
                made_by = f"model {wanted}" if wanted else "no named model"
                raise Incompatible(f"an encoder is fitted to raw tokens of {made_by}; give such a set")
            return features.tokens
