"""The shipped encoder fits the default model, and only that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

import setwise_engine.encoder
from setwise_engine.encoder import Encoder, default_encoder
from setwise_engine.features import Extractor, prepare_image


def test_it_is_shipped_for_the_default_model(extractor: Extractor, encoder: Encoder) -> None:
    assert encoder.model == extractor.info.fingerprint
    assert (encoder.dims_in, encoder.dims, encoder.coarse_basis.shape) == (1280, 256, (256, 64))
    assert default_encoder(extractor.info) is encoder


def test_other_models_sizes_and_weights_have_none(extractor: Extractor) -> None:
    info = extractor.info
    assert default_encoder(replace(info, image_size=224)) is None
    assert default_encoder(replace(info, fingerprint="efficientnet-lite0@320:0000000000000000")) is None
    assert default_encoder(replace(info, name="timm:resnet50")) is None


def test_the_file_is_small() -> None:
    folder = Path(setwise_engine.encoder.__file__).parent
    assert [path.name for path in folder.glob("*.safetensors")] == ["efficientnet-lite0-320.safetensors"]
    assert (folder / "efficientnet-lite0-320.safetensors").stat().st_size < 1_500_000


def test_it_keeps_what_differs_between_photos(extractor: Extractor, encoder: Encoder, photos: list[Path]) -> None:
    """0.39 of the centred energy of photos it has never seen survives; random directions would keep 256 / 1280."""
    pixels = np.stack([prepare_image(path, 320).pixels for path in photos])
    raw = extractor.extract(pixels)
    assert encoder.mean is not None
    before = np.square(raw - encoder.mean).sum()
    after = np.square(encoder.encode(raw).astype(np.float64)).sum()
    assert 0.35 < after / before < 0.45
