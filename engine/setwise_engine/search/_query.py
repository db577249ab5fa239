"""From any feature set to one that can be compared with a collection's."""

from __future__ import annotations

from dataclasses import replace

from setwise_engine.encoder import Encoder
from setwise_engine.errors import Incompatible
from setwise_engine.feature_set import FeatureSet, Stage
from setwise_engine.matching import half

__all__ = ["comparable"]


def comparable(features: FeatureSet, encoder: Encoder) -> FeatureSet:
    """The set as the collection of `encoder` would store it: encoded, float16.

    A raw set goes through the encoder; one of unknown origin (empty model) is taken at its word when its dimensions
    fit. An encoded set must carry the encoder's fingerprint. Raises Incompatible naming both sides.
    """
    if features.stage is Stage.RAW:
        return _encoded(features, encoder)
    if features.encoder != encoder.fingerprint:
        theirs = f"encoder {features.encoder}" if features.encoder else "an unknown encoder"
        raise Incompatible(
            f"the set went through {theirs}, but the collection was made with encoder {encoder.fingerprint}; "
            "send raw tokens or an image",
            field="encoder",
        )
    _check_dims(features, encoder.dims, "encoded")
    return replace(features, tokens=half(features))


def _encoded(features: FeatureSet, encoder: Encoder) -> FeatureSet:
    named = features if features.model else replace(features, model=encoder.model)
    if named.model == encoder.model:
        _check_dims(features, encoder.dims_in, "raw")
    return encoder.encode_set(named)


def _check_dims(features: FeatureSet, dims: int, stage: str) -> None:
    if features.dims != dims:
        raise Incompatible(
            f"the set's tokens have {features.dims} dimensions, but the collection takes {stage} tokens of {dims}; "
            "use the model that the collection was made with",
            field="tokens",
        )
