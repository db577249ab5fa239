"""The featurizer: files in, encoded feature sets out, through one network and one encoder that belong together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from setwise_engine.encoder import Encoder, fit_encoder
from setwise_engine.errors import ImageError, Incompatible
from setwise_engine.feature_set import FeatureSet, Stage
from setwise_engine.features import DecodeLimits, Extractor, prepare_image
from setwise_engine.featurizer import Featurizer


@pytest.fixture(scope="module")
def featurizer(extractor: Extractor, encoder: Encoder) -> Featurizer:
    return Featurizer(extractor, encoder)


def test_an_image_becomes_an_encoded_set(featurizer: Featurizer, photos: list[Path]) -> None:
    prepared = featurizer.prepare(photos[0], thumbnail=True)
    assert prepared.thumbnail.startswith(b"\xff\xd8")
    (features,) = featurizer.encode([prepared])
    assert features.tokens.shape == (100, 256)
    assert features.tokens.dtype == np.float16
    assert features.stage is Stage.ENCODED
    assert features.model == featurizer.extractor.info.fingerprint
    assert features.encoder == featurizer.encoder.fingerprint
    assert (features.grid, features.image_size) == ((10, 10), prepared.image_size)


def test_it_is_decode_extract_encode_and_nothing_else(featurizer: Featurizer, photos: list[Path]) -> None:
    (features,) = featurizer.encode([featurizer.prepare(photos[1].read_bytes())])
    raw = featurizer.extractor.extract(prepare_image(photos[1], 320).pixels[None])[0]
    by_hand = featurizer.encoder.encode_set(FeatureSet(raw, model=featurizer.extractor.info.fingerprint))
    assert np.array_equal(features.tokens, by_hand.tokens)


def test_a_batch_gives_what_single_images_give(featurizer: Featurizer, photos: list[Path]) -> None:
    """Up to one unit of fp16: a network may sum in another order for another batch size."""
    images = [featurizer.prepare(path) for path in photos[:4]]
    together = featurizer.encode(images)
    for features, image in zip(together, images, strict=True):
        alone = featurizer.encode([image])[0].tokens
        units = np.maximum(np.abs(np.spacing(alone)), np.spacing(np.float16(0.01))).astype(np.float64)
        assert (np.abs(features.tokens.astype(np.float64) - alone) <= units).all()


def test_times_of_the_two_stages_are_told(featurizer: Featurizer, photos: list[Path]) -> None:
    sets, extracted, encoded = featurizer.encode_timed([featurizer.prepare(photos[0])])
    assert len(sets) == 1
    assert extracted > 0
    assert encoded > 0
    assert featurizer.encode_timed([]) == ([], 0.0, 0.0)
    assert featurizer.encode([]) == []


def test_limits_hold(extractor: Extractor, encoder: Encoder, photos: list[Path]) -> None:
    strict = Featurizer(extractor, encoder, limits=DecodeLimits(max_pixels=10))
    with pytest.raises(ImageError, match="more than the limit of 10"):
        strict.prepare(photos[0])


def test_an_encoder_of_another_model_is_refused_by_both_names(extractor: Extractor, encoder: Encoder) -> None:
    other = replace(encoder, model="timm:resnet50@224:0123456789abcdef")
    with pytest.raises(Incompatible, match=r"made for model timm:resnet50@224:\w+, not for efficientnet-lite0@320:"):
        Featurizer(extractor, other)
    unnamed = fit_encoder([np.eye(8, dtype=np.float32)], model="", dims=4)
    with pytest.raises(Incompatible, match="made for no named model"):
        Featurizer(extractor, unnamed)
