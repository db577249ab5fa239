"""From image files to tokens: decoding, and networks behind one small interface."""

from setwise_engine.features._budget import DecodeBudget
from setwise_engine.features._decode import DecodeLimits, PreparedImage, prepare_image
from setwise_engine.features._extractor import Classifier, Extractor, ModelInfo, Request
from setwise_engine.features._registry import DEFAULT_MODEL, check_model, load_extractor, model_names, register

__all__ = [
    "DEFAULT_MODEL",
    "Classifier",
    "DecodeBudget",
    "DecodeLimits",
    "Extractor",
    "ModelInfo",
    "PreparedImage",
    "Request",
    "check_model",
    "load_extractor",
    "model_names",
    "prepare_image",
    "register",
]
