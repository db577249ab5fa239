"""From images to encoded feature sets: decode, extract, encode, in that order, for indexer and queries alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from setwise_engine.encoder import Encoder
from setwise_engine.errors import Incompatible
from setwise_engine.feature_set import FeatureSet, Stage
from setwise_engine.features import DecodeLimits, Extractor, PreparedImage, prepare_image

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

    def prepare(self, source: bytes | Path, *, thumbnail: bool = False) -> PreparedImage:
        """Decode a file or its bytes to the network's square; raises what `features.prepare_image` raises."""
        return prepare_image(source, self.extractor.info.image_size, limits=self.limits, thumbnail=thumbnail)

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
        info = self.extractor.info
        sets = [
            FeatureSet(
                tokens=self.encoder.encode(tokens),
                stage=Stage.ENCODED,
                model=info.fingerprint,
                encoder=self.encoder.fingerprint,
                grid=info.grid,
                image_size=image.image_size,
            )
            for tokens, image in zip(raw, images, strict=True)
        ]
        return sets, extracted - start, perf_counter() - extracted
