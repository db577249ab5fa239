"""From images to encoded feature sets: decode, extract, encode, in that order, for indexer and queries alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from setwise_engine.encoder import Encoder
from setwise_engine.errors import Incompatible
from setwise_engine.feature_set import FeatureSet, ImageSize, Stage
from setwise_engine.features import DecodeLimits, Extractor, PreparedImage, prepare_image
from setwise_engine.matching import no_check

__all__ = ["Featurizer"]


class Featurizer:
    """One network and one encoder that belong together.

    `prepare` may run in many threads at once; `encode` is meant for one at a time, to keep the network's cores busy.
    Raises Incompatible when the encoder was made for another model.
    """

    def __init__(self, extractor: Extractor, encoder: Encoder, *, limits: DecodeLimits | None = None) -> None:
        info = extractor.info
        if encoder.model != info.fingerprint or encoder.dims_in != info.dims:
            made_for = f"model {encoder.model}" if encoder.model else "no named model"
            raise Incompatible(
                f"encoder {encoder.fingerprint} was made for {made_for}, not for {info.fingerprint}; "
                "load that model, or fit an encoder to this one",
                field="encoder",
            )
        self.extractor = extractor
        self.encoder = encoder
        self.limits = limits or DecodeLimits()

    def prepare(
        self, source: bytes | Path, *, thumbnail: bool = False, check: Callable[[], None] = no_check
    ) -> PreparedImage:
        """Decode a file or its bytes to the network's square; raises what `features.prepare_image` raises."""
        side = self.extractor.info.image_size
        return prepare_image(source, side, limits=self.limits, thumbnail=thumbnail, check=check)

    def encode(self, images: Sequence[PreparedImage]) -> list[FeatureSet]:
        """Encoded sets of prepared images, in one forward pass."""
        return self.encode_timed(images)[0]

    def encode_timed(self, images: Sequence[PreparedImage]) -> tuple[list[FeatureSet], float, float]:
        """As `encode`, with the seconds spent in the network and in the encoder."""
        if not images:
            return [], 0.0, 0.0
        start = perf_counter()
        raw = self.extractor.extract(np.stack([image.pixels for image in images]))
        extracted = perf_counter()
        sets = [self.encoded(tokens, image.image_size) for tokens, image in zip(raw, images, strict=True)]
        return sets, extracted - start, perf_counter() - extracted

    def encoded(self, raw: NDArray[np.float32], size: ImageSize) -> FeatureSet:
        """The encoded set of one image: its raw tokens (n, D) as the extractor gave them, its size in pixels."""
        return FeatureSet(
            tokens=self.encoder.encode(raw),
            stage=Stage.ENCODED,
            model=self.extractor.info.fingerprint,
            encoder=self.encoder.fingerprint,
            grid=self.extractor.info.grid,
            image_size=size,
        )
