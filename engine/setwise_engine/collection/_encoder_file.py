"""The collection's encoder, and whether settings and encoder belong together."""

from __future__ import annotations

from pathlib import Path

from setwise_engine.collection._types import Settings
from setwise_engine.encoder import Encoder
from setwise_engine.errors import CollectionError, CorruptError, Incompatible, NotFound

__all__ = ["ENCODER_FILE", "check_settings", "load_encoder"]

ENCODER_FILE = "encoder.safetensors"


def check_settings(settings: Settings, encoder: Encoder) -> None:
    """Raises Incompatible when the settings name another encoder, model or number of dimensions."""
    for what, given, wanted in (
        ("encoder", settings.encoder_fingerprint, encoder.fingerprint),
        ("model", settings.model_fingerprint, encoder.model),
        ("number of dimensions", settings.dims, encoder.dims),
    ):
        if given != wanted:
            message = f"the settings name {what} {given or 'none'}, the encoder has {wanted or 'none'}"
            raise Incompatible(f"{message}; make the settings from the encoder")


def load_encoder(folder: Path, settings: Settings) -> Encoder:
    """The encoder in the folder.

    Raises CorruptError when it is missing, damaged or not the settings' one, CollectionError when it cannot be read.
    """
    path = folder / ENCODER_FILE
    try:
        encoder = Encoder.load(path)
        check_settings(settings, encoder)
    except NotFound as error:
        raise CorruptError(f"{path} is missing; restore it from a backup") from error
    except OSError as error:
        raise CollectionError(f"{path} cannot be read ({error.strerror}); check its rights") from error
    except Incompatible as error:
        raise CorruptError(f"{path} is not the encoder this collection was made with ({error}); restore it") from error
    return encoder
