"""The encoder that is shipped for the default model: see docs/decisions/0010-default-encoder.md."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from setwise_engine.encoder._encoder import Encoder
from setwise_engine.features import ModelInfo

__all__ = ["default_encoder"]

_FOLDER = Path(__file__).parent


def default_encoder(model: ModelInfo) -> Encoder | None:
    """The shipped encoder of exactly this model, image size and weights, or None: then fit one."""
    encoder = _shipped(f"{model.name}-{model.image_size}.safetensors")
    return encoder if encoder is not None and encoder.model == model.fingerprint else None


@cache
def _shipped(name: str) -> Encoder | None:
    if name not in {path.name for path in _FOLDER.glob("*.safetensors")}:
        return None
    return Encoder.load(_FOLDER / name)
